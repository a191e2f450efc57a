/**
 * The reference's KV cache: every (slot, position) kept apart, in plain maps. Which entry a row reads is decided by
 * the cache strategy; here they are only stored and found.
 */
import { ABSENT, coreSlot, resolveSlots, writtenSlots } from "../cache-strategy.ts";
import type { SequenceOptions } from "../port/backend.ts";

/** Key and value of one position in one slot, [kvHeads * headDim] f32 each. */
export interface Entry {
  readonly key: Float32Array;
  readonly value: Float32Array;
}

/** A block's place in the cache: prelude and coda layers have one slot each, core layers one a step. */
export type Place =
  | { readonly group: "prelude"; readonly layer: number }
  | { readonly group: "core"; readonly layer: number; readonly iteration: number }
  | { readonly group: "coda"; readonly layer: number };

export class ReferenceCache {
  readonly #options: SequenceOptions;
  readonly #preludeLayers: number;
  readonly #coreLayers: number;
  readonly #slots = new Map<number, Entry[]>();
  /** Core block steps run by each position. */
  readonly #steps: number[] = [];
  #random: number;

  constructor(options: SequenceOptions, preludeLayers: number, coreLayers: number) {
    this.#options = options;
    this.#preludeLayers = preludeLayers;
    this.#coreLayers = coreLayers;
    this.#random = 1;
  }

  /** Slots that hold anything, ascending, in the reference's numbers (coda negative). */
  get slots(): number[] {
    return [...this.#slots.keys()].sort((a, b) => a - b);
  }

  entry(slot: number, position: number): Entry | undefined {
    return this.#slots.get(slot)?.[position];
  }

  write(place: Place, position: number, entry: Entry): void {
    const slot = this.#slotOf(place);
    if (!this.#slots.has(slot)) this.#slots.set(slot, []);
    this.#slots.get(slot)![position] = entry;
    if (place.group === "core") this.#steps[position] = place.iteration * this.#coreLayers + place.layer + 1;
  }

  /** What a row at `position` attends to at this place: entries of positions 0 .. position, absent ones left out. */
  visible(place: Place, position: number): (Entry & { readonly position: number })[] {
    const slots = new Int32Array(position + 1);
    if (place.group === "core") {
      const { cache } = this.#options;
      const written = Int32Array.from(slots, (_, p) => writtenSlots(cache.sharing, this.#steps[p] ?? 0));
      const slot = this.#slotOf(place) - this.#preludeLayers;
      resolveSlots(cache, this.#coreLayers, slot, written, slots, (below) => this.#pick(below));
      for (let p = 0; p <= position; p++) if (slots[p] !== ABSENT) slots[p]! += this.#preludeLayers;
    } else slots.fill(this.#slotOf(place));
    const entries: (Entry & { readonly position: number })[] = [];
    for (let p = 0; p <= position; p++) {
      const entry = place.group === "core" && slots[p] === ABSENT ? undefined : this.entry(slots[p]!, p);
      if (entry !== undefined) entries.push({ ...entry, position: p });
    }
    return entries;
  }

  truncate(length: number): void {
    for (const entries of this.#slots.values()) entries.length = Math.min(entries.length, length);
    this.#steps.length = Math.min(this.#steps.length, length);
  }

  #slotOf(place: Place): number {
    if (place.group === "prelude") return place.layer;
    if (place.group === "coda") return -1 - place.layer;
    return this.#preludeLayers + coreSlot(this.#options.cache.sharing, place.iteration * this.#coreLayers + place.layer);
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
