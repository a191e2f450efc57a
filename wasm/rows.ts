/**
 * Rows in flight and the table by which kernels find them (wasm/assembly/rows.ts). A row's buffers lie side by side:
 *   embedded e | state s_t | measured s at the last `measure` | work (the coda's residual stream) | query
 * each [width] f32 on a cache line. Rows made together share a region, freed with the last of them.
 */
import type { Row } from "../engine/backend.ts";
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
  /** 0 once released. */
  live: boolean;
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

  get rowBytes(): number {
    return BUFFERS * this.#bufferBytes;
  }

  /** @throws {FathomError} out_of_memory */
  take(places: readonly { sequence: WasmSequence; position: number; token: number }[]): WasmRow[] {
    const region = this.#arena.allocate("rows", places.length * this.rowBytes, `${places.length} rows`);
    const batch: Batch = { region, left: places.length };
    return places.map((place, i) => {
      const at = region.address + i * this.rowBytes;
      const [embedded, state, measured, work, query] = Array.from({ length: BUFFERS }, (_, b) => at + b * this.#bufferBytes) as [number, number, number, number, number];
      const row: WasmRow = { ...place, iterations: 0, embedded, state, measured, work, query, live: true };
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
    this.#arena.free(this.#region);
    this.#region = this.#arena.allocate("tables", bytes, `a table of ${rows} rows`);
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

  setVisible(row: number, list: number, count: number, shift: number): void {
    const at = this.record(row) / 4;
    const { words } = this.#arena;
    words[at + 3] = list;
    words[at + 4] = count;
    words[at + 5] = shift;
  }
}
