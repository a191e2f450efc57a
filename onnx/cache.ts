/**
 * A sequence's own keys and values on the host, as plain f32 arrays: one pair of [capacity, kvHeads * headDim] a slot, made
 * when it is first written. Which of them a row reads is decided by engine/port/cached-sequence.ts.
 */
import { ABSENT } from "../engine/cache-strategy.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { Stage } from "../engine/model/stage.ts";
import type { SequenceOptions } from "../engine/port/backend.ts";
import { cacheSlots, CachedSequence } from "../engine/port/cached-sequence.ts";

/** Keys and values, [entries, kvHeads * headDim] f32 each. */
export interface Entries {
  readonly key: Float32Array;
  readonly value: Float32Array;
}

/** A row of a call: its place, and the iterations that it has behind it. */
export interface CallRow {
  readonly sequence: OnnxSequence;
  readonly position: number;
  readonly iterations: number;
}

export class OnnxSequence extends CachedSequence {
  /** Elements of a key, and of a value. */
  readonly entry: number;
  readonly #slots: Readonly<Record<Stage, Entries[]>> = { prelude: [], core: [], coda: [] };

  static bytes(options: SequenceOptions, config: ModelConfig): number {
    return options.capacity * cacheSlots(options, config) * 2 * config.kvHeads * config.headDim * 4;
  }

  constructor(options: SequenceOptions, config: ModelConfig, parent?: OnnxSequence) {
    super(options, config, parent);
    this.entry = config.kvHeads * config.headDim;
  }

  /** A slot's entries of the sequence's own positions, from `start` on; those that were never written are zero. */
  entries(stage: Stage, slot: number): Entries {
    const elements = this.options.capacity * this.entry;
    return (this.#slots[stage][slot] ??= { key: new Float32Array(elements), value: new Float32Array(elements) });
  }

  /** Keeps what a row computed in a layer, `key` and `value` [kvHeads * headDim]. */
  write(stage: Stage, layer: number, { position, iterations }: CallRow, key: Float32Array, value: Float32Array): void {
    const entries = this.entries(stage, this.slotOf(stage, layer, iterations));
    const at = (position - this.start) * this.entry;
    entries.key.set(key, at);
    entries.value.set(value, at);
    this.noteWritten(stage, layer, position, iterations);
  }

  /** Whether a row of this sequence at a position sees another's entries. */
  sees(row: CallRow, position: number): boolean {
    return row.position <= position && this.holderOf(row.position) === row.sequence;
  }
}

/**
 * Gives for each of a call's rows, as if all had written their entries of `layer`, the slot to read at every position up to
 * its own, or ABSENT. @throws {FathomError} missing_cache
 */
export function seenBy(stage: Stage, layer: number, rows: readonly CallRow[]): Int32Array[] {
  return rows.map(({ sequence, position, iterations }) => {
    const slots = sequence.visible(stage, sequence.slotOf(stage, layer, iterations), position, rows, layer);
    // the call's own rows pass the coda together
    if (stage === "coda")
      for (const row of rows) if (sequence.sees(row, position) && slots[row.position] === ABSENT) slots[row.position] = layer;
    return slots;
  });
}
