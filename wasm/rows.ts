/**
 * Rows in flight and the table by which kernels find them (wasm/assembly/rows.ts). A row's buffers lie side by side:
 *   embedded e | state s_t | measured s at the last `measure` | work (the coda's residual stream) | query
 * each [width] f32 on a cache line, then for sequences that keep attention weights [position + 1] f32 of them. Rows
 * made together share a region, freed with the last of them.
 */
import type { Row } from "../engine/port/backend.ts";
import type { Arena, Region } from "./arena.ts";
import type { WasmSequence } from "./sequence.ts";

const BUFFERS = 5;
const ROW_RECORD_WORDS = 8;

export interface WasmRow extends Row {
  readonly sequence: WasmSequence;
  iterations: number;
  /** Addresses of the row's buffers. */
  readonly embedded: number;
  readonly state: number;
  readonly measured: number;
  readonly work: number;
  readonly query: number;
  /** Address of the largest attention weight on each position in the last core iteration; 0 = not kept. */
  readonly strongest: number;
  /** False once released. */
  live: boolean;
}

/** What a row is, before it has memory. */
export interface Place {
  readonly sequence: WasmSequence;
  readonly position: number;
  readonly token: number;
}

interface Batch {
  readonly region: Region;
  left: number;
}

export class RowPool {
  readonly #arena: Arena;
  readonly #bufferBytes: number;
  readonly #batches = new Map<WasmRow, Batch>();

  constructor(arena: Arena, width: number) {
    this.#arena = arena;
    this.#bufferBytes = Math.ceil(width / 16) * 64;
  }

  /** Bytes from a row's state back to its e: the adapter reads both. */
  get stateToEmbedded(): number {
    return -this.#bufferBytes;
  }

  /** Bytes from a row's state to its state at the last `measure`. */
  get stateToMeasured(): number {
    return this.#bufferBytes;
  }

  #bytesOf(place: Place): number {
    return BUFFERS * this.#bufferBytes + (place.sequence.options.attention === true ? strongestBytes(place.position) : 0);
  }

  /** @throws {FathomError} out_of_memory */
  take(places: readonly Place[]): WasmRow[] {
    const bytes = places.reduce((sum, place) => sum + this.#bytesOf(place), 0);
    const region = this.#arena.allocate("rows", bytes, `${places.length} rows`);
    const batch: Batch = { region, left: places.length };
    let at = region.address;
    return places.map((place) => {
      const buffer = (index: number): number => at + index * this.#bufferBytes;
      const row: WasmRow = {
        ...place,
        iterations: 0,
        embedded: buffer(0),
        state: buffer(1),
        measured: buffer(2),
        work: buffer(3),
        query: buffer(4),
        strongest: place.sequence.options.attention === true ? buffer(BUFFERS) : 0,
        live: true,
      };
      at += this.#bytesOf(place);
      this.#batches.set(row, batch);
      return row;
    });
  }

  release(row: WasmRow): void {
    const batch = this.#batches.get(row);
    if (batch === undefined) return;
    this.#batches.delete(row);
    row.live = false;
    if (--batch.left === 0) this.#arena.free(batch.region);
  }

  releaseAll(sequence: WasmSequence): void {
    for (const row of this.#batches.keys()) if (row.sequence === sequence) this.release(row);
  }
}

/** The table of one call's rows, in memory that grows with the largest call. */
export class RowTable {
  readonly #arena: Arena;
  #region: Region;

  constructor(arena: Arena, rows: number) {
    this.#arena = arena;
    this.#region = arena.allocate("tables", rows * ROW_RECORD_WORDS * 4, "the row table");
  }

  /** @throws {FathomError} out_of_memory */
  reserve(rows: number): void {
    const bytes = rows * ROW_RECORD_WORDS * 4;
    if (bytes <= this.#region.bytes) return;
    const larger = this.#arena.allocate("tables", bytes, `a table of ${rows} rows`);
    this.#arena.free(this.#region);
    this.#region = larger;
  }

  /** Address of a row's record. */
  record(row: number): number {
    return this.#region.address + row * ROW_RECORD_WORDS * 4;
  }

  setStream(row: number, x: number, query: number, angles: number): void {
    const at = this.record(row) / 4;
    const { words } = this.#arena;
    words[at] = x;
    words[at + 1] = query;
    words[at + 6] = angles;
  }

  setX(row: number, x: number): void {
    this.#arena.words[this.record(row) / 4] = x;
  }

  setEntry(row: number, entry: number): void {
    this.#arena.words[this.record(row) / 4 + 2] = entry;
  }

  setVisible(row: number, list: number, count: number, shift: number, strongest: number): void {
    const at = this.record(row) / 4;
    const { words } = this.#arena;
    words[at + 3] = list;
    words[at + 4] = count;
    words[at + 5] = shift;
    words[at + 7] = strongest;
  }
}

/** Padded to whole vectors, and to a cache line. */
function strongestBytes(position: number): number {
  return Math.ceil((position + 1) / 16) * 64;
}
