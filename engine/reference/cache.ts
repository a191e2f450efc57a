/**
 * The reference's sequence: every (slot, position) kept apart, in plain maps. Which entry a row reads is decided by the
 * cache strategy (engine/port/cached-sequence.ts); here they are only stored and found.
 */
import { ABSENT } from "../cache-strategy.ts";
import type { Stage } from "../model/stage.ts";
import { CachedSequence } from "../port/cached-sequence.ts";

/** Key and value of one position in one slot, [kvHeads * headDim] f32 each. */
export interface Entry {
  readonly key: Float32Array;
  readonly value: Float32Array;
}

/** A block of the model, as a row with so many iterations behind it runs it. */
export interface Place {
  readonly stage: Stage;
  readonly layer: number;
  readonly iterations: number;
}

export class ReferenceSequence extends CachedSequence {
  /** Whom the ledger counts it under. */
  owner: "kv cache" | "prefixes" = "kv cache";
  /** Entries of a slot, by position. */
  readonly #slots = new Map<string, Entry[]>();

  /** An entry that has been written, by an ancestor where the position is its. */
  entry(stage: Stage, slot: number, position: number): Entry {
    return this.holderOf(position).#slots.get(`${stage} ${this.storedSlot(stage, slot, position)}`)![position]!;
  }

  write({ stage, layer, iterations }: Place, position: number, entry: Entry): void {
    this.noteWritten(stage, layer, position, iterations);
    const name = `${stage} ${this.storedSlot(stage, this.slotOf(stage, layer, iterations), position)}`;
    if (!this.#slots.has(name)) this.#slots.set(name, []);
    this.#slots.get(name)![position] = entry;
  }

  /** What a row at `position` attends to at this place: entries of positions 0 .. position, absent ones left out. */
  seenFrom({ stage, layer, iterations }: Place, position: number): (Entry & { readonly position: number })[] {
    const slots = this.visible(stage, this.slotOf(stage, layer, iterations), position);
    return [...slots].flatMap((slot, p) => (slot === ABSENT ? [] : [{ ...this.entry(stage, slot, p), position: p }]));
  }
}
