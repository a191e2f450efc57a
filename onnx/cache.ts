/**
 * A sequence's keys and values on the host, as plain f32 arrays: one pair of [capacity, kvHeads * headDim] a slot, made
 * when it is first written. Slots count from 0 within their part of the model; which of them a row reads is decided by
 * engine/cache-strategy.ts.
 */
import type { Sequence, SequenceOptions } from "../engine/port/backend.ts";
import { ABSENT, coreSlot, resolveSlots, writtenSlots } from "../engine/cache-strategy.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { GraphName } from "./signature.ts";

/** Keys and values, [entries, kvHeads * headDim] f32 each. */
export interface Entries {
  readonly key: Float32Array;
  readonly value: Float32Array;
}

/** A row of a call: its place, and the iterations that it has behind it. */
export interface CallRow {
  readonly position: number;
  readonly iterations: number;
}

export class OnnxSequence implements Sequence {
  readonly options: SequenceOptions;
  length = 0;
  /** Elements of a key, and of a value. */
  readonly entry: number;
  /** Core block steps that each position has run. */
  readonly #steps: Int32Array;
  /** 1 where a position has passed the coda. */
  readonly #codaWritten: Uint8Array;
  readonly #config: ModelConfig;
  readonly #slots: Readonly<Record<GraphName, Entries[]>> = { prelude: [], core: [], coda: [] };
  #random = 1;

  static bytes({ cache, maxIterations, capacity }: SequenceOptions, config: ModelConfig): number {
    const { preludeLayers, coreLayers, codaLayers, kvHeads, headDim } = config;
    const slots = preludeLayers + writtenSlots(cache.sharing, maxIterations * coreLayers) + codaLayers;
    return capacity * slots * 2 * kvHeads * headDim * 4;
  }

  constructor(options: SequenceOptions, config: ModelConfig) {
    this.options = options;
    this.entry = config.kvHeads * config.headDim;
    this.#steps = new Int32Array(options.capacity);
    this.#codaWritten = new Uint8Array(options.capacity);
    this.#config = config;
  }

  /** The slot that a row writes in a layer. */
  slotOf(graph: GraphName, layer: number, row: CallRow): number {
    return graph === "core" ? coreSlot(this.options.cache.sharing, row.iterations * this.#config.coreLayers + layer) : layer;
  }

  /** A slot's entries by position; those that were never written are zero. */
  entries(graph: GraphName, slot: number): Entries {
    const elements = this.options.capacity * this.entry;
    return (this.#slots[graph][slot] ??= { key: new Float32Array(elements), value: new Float32Array(elements) });
  }

  /** Keeps what a row computed in a layer, `key` and `value` [kvHeads * headDim]. */
  write(graph: GraphName, layer: number, row: CallRow, key: Float32Array, value: Float32Array): void {
    const entries = this.entries(graph, this.slotOf(graph, layer, row));
    entries.key.set(key, row.position * this.entry);
    entries.value.set(value, row.position * this.entry);
    if (graph === "core") this.#steps[row.position] = row.iterations * this.#config.coreLayers + layer + 1;
    if (graph === "coda") this.#codaWritten[row.position] = 1;
  }

  /**
   * For each of a call's rows, once all have written their entries of `layer`: the slot to read at every position up to
   * its own, or ABSENT. @throws {FathomError} missing_cache
   */
  visible(graph: GraphName, layer: number, rows: readonly CallRow[]): Int32Array[] {
    const positions = Math.max(...rows.map((row) => row.position)) + 1;
    if (graph !== "core") {
      const slots = Int32Array.from({ length: positions }, (_, p) => (graph === "prelude" || this.#codaWritten[p] === 1 ? layer : ABSENT));
      for (const row of rows) slots[row.position] = layer;
      return rows.map((row) => slots.subarray(0, row.position + 1));
    }
    const { cache } = this.options;
    const { coreLayers } = this.#config;
    const steps = this.#steps.slice(0, positions);
    for (const row of rows) steps[row.position] = row.iterations * coreLayers + layer + 1;
    const written = steps.map((n) => writtenSlots(cache.sharing, n));
    return rows.map((row) => {
      const slots = new Int32Array(row.position + 1);
      const own = this.slotOf(graph, layer, row);
      resolveSlots(cache, coreLayers, own, written.subarray(0, row.position + 1), slots, (below) => this.#pick(below));
      return slots;
    });
  }

  /** What a position has written: part of the model and slot. */
  slotsAt(position: number): [graph: GraphName, slot: number][] {
    if (position >= this.length) return [];
    const { preludeLayers, codaLayers } = this.#config;
    const layers = (graph: GraphName, count: number): [GraphName, number][] => Array.from({ length: count }, (_, slot) => [graph, slot]);
    const core = new Set(Array.from({ length: this.#steps[position]! }, (_, step) => coreSlot(this.options.cache.sharing, step)));
    return [
      ...layers("prelude", preludeLayers),
      ...[...core].map((slot): [GraphName, number] => ["core", slot]),
      ...(this.#codaWritten[position] === 1 ? layers("coda", codaLayers) : []),
    ];
  }

  truncate(length: number): void {
    this.length = Math.min(this.length, length);
    this.#steps.fill(0, length);
    this.#codaWritten.fill(0, length);
  }

  /** A small xorshift: `randomized` needs some uniform choice, reproducible for a sequence. */
  #pick(below: number): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return (x >>> 0) % below;
  }
}
