/**
 * Memory of rows in flight. A sequence has a slot for each row that it may have in flight, taken when it is opened; those
 * of its prompt are given back after it. In a slot lie:
 *   embedded e | state s_t | measured s at the last `measure` | work (the coda's residual stream), [width] f32 each |
 *   query, [heads * headDim] f32 | angles cos, then sin of the position, [headDim / 2] f32 each
 * each on a cache line, then for sequences that keep attention weights as many f32 as the row may see positions.
 */
import type { SequenceOptions } from "../engine/port/backend.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { Arena, Owner, Region } from "./arena.ts";

/** Vectors of the model's width. */
const BUFFERS = 4;

/** Addresses of a row's slot and of the buffers in it. */
export interface RowBuffers {
  readonly slot: number;
  readonly embedded: number;
  readonly state: number;
  readonly measured: number;
  readonly work: number;
  readonly query: number;
  readonly angles: number;
  /** The largest attention weight on each position in the last core iteration; 0 = not kept. */
  readonly strongest: number;
}

/** How a row's buffers follow each other, in bytes. */
export interface RowLayout {
  readonly bufferBytes: number;
  readonly queryBytes: number;
  readonly anglesBytes: number;
}

export function rowLayout({ width, heads, headDim }: ModelConfig): RowLayout {
  return { bufferBytes: lines(width), queryBytes: lines(heads * headDim), anglesBytes: lines(headDim) };
}

/** Bytes that a sequence takes for its rows: those of its prompt, and the others. @param start of a branch */
export function rowBytes(
  layout: RowLayout,
  { capacity, attention, rows = capacity, prompt = 0 }: SequenceOptions,
  start: number,
): RowBytes {
  const kept = attention === true;
  return {
    rows: rows * (fixedBytes(layout) + (kept ? lines(start + capacity) : 0)),
    prompt: prompt * fixedBytes(layout) + (kept ? attentionBefore(start + prompt) - attentionBefore(start) : 0),
  };
}

export interface RowBytes {
  readonly rows: number;
  readonly prompt: number;
}

/** Bytes of a slot less its attention weights. */
function fixedBytes({ bufferBytes, queryBytes, anglesBytes }: RowLayout): number {
  return BUFFERS * bufferBytes + queryBytes + anglesBytes;
}

/** Bytes of the attention weights of all positions before one: each has weights up to its own position. */
function attentionBefore(position: number): number {
  const whole = Math.floor(position / 16);
  return 64 * (whole + 1) * (8 * whole + (position % 16));
}

export interface RowRegions {
  readonly rows: Region;
  /** Where the sequence has a prompt. */
  readonly prompt?: Region | undefined;
}

/** The slots of one sequence's rows. */
export class RowSlots {
  readonly #arena: Arena;
  readonly #layout: RowLayout;
  readonly #attention: boolean;
  readonly #rows: Region;
  /** Slots of the prompt's positions, until none of its rows is in flight any more. */
  #prompt: { readonly region: Region; readonly end: number; readonly inFlight: Set<number> } | undefined;
  readonly #start: number;
  /** Addresses of slots that no row has; the next one is the last. */
  readonly #free: number[];

  constructor(arena: Arena, { rows, prompt }: RowRegions, layout: RowLayout, options: SequenceOptions, start: number) {
    const count = options.rows ?? options.capacity;
    const bytes = rowBytes(layout, options, start).rows / count;
    this.#arena = arena;
    this.#layout = layout;
    this.#attention = options.attention === true;
    this.#rows = rows;
    this.#prompt = prompt && { region: prompt, end: start + options.prompt!, inFlight: new Set() };
    this.#start = start;
    this.#free = Array.from({ length: count }, (_, i) => rows.address + i * bytes).reverse();
  }

  /** A slot for the row at a position; there is room, by engine/port/sequences.ts. */
  take(position: number): RowBuffers {
    const { bufferBytes, queryBytes } = this.#layout;
    const slot = this.#isOfPrompt(position) ? this.#promptSlot(position) : this.#free.pop()!;
    const buffer = (index: number): number => slot + index * bufferBytes;
    return {
      slot,
      embedded: buffer(0),
      state: buffer(1),
      measured: buffer(2),
      work: buffer(3),
      query: buffer(BUFFERS),
      angles: buffer(BUFFERS) + queryBytes,
      strongest: this.#attention ? slot + fixedBytes(this.#layout) : 0,
    };
  }

  /** Takes back the slot of a row that was in flight. */
  release({ slot, position }: Pick<RowBuffers, "slot"> & { readonly position: number }): void {
    if (!this.#isOfPrompt(position)) {
      this.#free.push(slot);
      return;
    }
    const { region, inFlight } = this.#prompt!;
    inFlight.delete(position);
    if (inFlight.size > 0) return;
    this.#arena.free(region);
    this.#prompt = undefined;
  }

  /** Counts the slots under another owner. */
  reassign(owner: Owner): void {
    this.#arena.reassign(this.#rows, owner);
  }

  /** Gives everything back. */
  close(): void {
    this.#arena.free(this.#rows);
    if (this.#prompt !== undefined) this.#arena.free(this.#prompt.region);
    this.#prompt = undefined;
  }

  #isOfPrompt(position: number): boolean {
    return this.#prompt !== undefined && position < this.#prompt.end;
  }

  #promptSlot(position: number): number {
    this.#prompt!.inFlight.add(position);
    return this.#promptAddress(position);
  }

  #promptAddress(position: number): number {
    const start = this.#start;
    const attention = this.#attention ? attentionBefore(position) - attentionBefore(start) : 0;
    return this.#prompt!.region.address + (position - start) * fixedBytes(this.#layout) + attention;
  }
}

/** Bytes of so many f32, padded to whole vectors, and to a cache line. */
function lines(floats: number): number {
  return Math.ceil(floats / 16) * 64;
}
