/**
 * What every sequence with a KV cache knows of itself: which slots each of its positions has written, and so what a
 * row reads. Where keys and values lie is the backend's affair. Slots are counted from 0 within their stage; the
 * reference's own numbers (coda negative) are for `Inspectable` alone. Positions are absolute.
 */
import { ABSENT, coreSlot, resolveSlots, writtenSlots } from "../cache-strategy.ts";
import { FathomError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import { layersOf, STAGES, type Stage } from "../model/stage.ts";
import { uniform } from "../random.ts";
import type { Sequence, SequenceOptions } from "./backend.ts";

/** Distinct core slots that positions of such a sequence may write. */
function coreSlots({ cache, maxIterations, history }: SequenceOptions, { coreLayers }: ModelConfig): number {
  return history !== undefined ? history.iterations * coreLayers : writtenSlots(cache.sharing, maxIterations * coreLayers);
}

/** Slots of such a sequence's cache, all stages together. */
export function cacheSlots(options: SequenceOptions, config: ModelConfig): number {
  const codas = options.history?.coda === true ? options.history.iterations : 1;
  return config.preludeLayers + coreSlots(options, config) + codas * config.codaLayers;
}

/** The reference's number of a slot: prelude, then core, coda from -1 downwards. */
function publicSlot(config: ModelConfig, stage: Stage, slot: number): number {
  return stage === "coda" ? -1 - slot : stage === "core" ? config.preludeLayers + slot : slot;
}

/** A row about to write to its sequence's cache. */
interface WritingRow {
  readonly sequence: CachedSequence;
  readonly position: number;
  /** Iterations behind it. */
  readonly iterations: number;
}

export class CachedSequence implements Sequence {
  readonly options: SequenceOptions;
  readonly parent: this | undefined;
  readonly start: number;
  length: number;
  /** Positions that its rows may see, at most: where its capacity ends. */
  readonly end: number;
  /** Core slots of the cache, those of a history among them. */
  readonly coreSlots: number;
  /** Whether the entries of every iteration are kept apart. */
  readonly keepsHistory: boolean;
  readonly #config: ModelConfig;
  /** Core block steps that each position of its own has run, [capacity] */
  readonly #steps: Int32Array;
  /** Iterations after which a position of its own has last passed the coda; 0 where it has not, and 1 where it ran none, [capacity] */
  readonly #codaAt: Int32Array;
  /** The first of the iterations after which it has done so each time up to then, [capacity] */
  readonly #codaFrom: Int32Array;
  /** Counts what is written into a history: what branches have found there may have moved since. */
  #writes = 0;
  #recalled: Int32Array | undefined;

  /** @param from positions of the parent that it sees [default all] */
  constructor(options: SequenceOptions, config: ModelConfig, parent?: CachedSequence, from = parent?.length ?? 0) {
    this.options = options;
    this.parent = parent as this | undefined;
    this.start = this.length = from;
    this.keepsHistory = options.history !== undefined;
    this.end = this.start + options.capacity;
    this.coreSlots = coreSlots(options, config);
    this.#config = config;
    this.#steps = new Int32Array(options.capacity);
    this.#codaAt = new Int32Array(options.capacity);
    this.#codaFrom = new Int32Array(options.capacity);
  }

  /** The slot that a row with so many iterations behind it writes in a layer. */
  slotOf(stage: Stage, layer: number, iterations: number): number {
    return stage === "core" ? coreSlot(this.options.cache.sharing, iterations * this.#config.coreLayers + layer) : layer;
  }

  /** Notes that a position has written its entry of a layer. */
  noteWritten(stage: Stage, layer: number, position: number, iterations: number): void {
    if (stage === "prelude") return;
    const at = position - this.start;
    this.#writes++;
    if (stage === "core") {
      this.#steps[at] = iterations * this.#config.coreLayers + layer + 1;
      return;
    }
    const passed = Math.max(1, iterations);
    if (passed !== this.#codaAt[at]) this.#codaFrom[at] = this.#codaAt[at] === passed - 1 && passed > 1 ? this.#codaFrom[at]! : passed;
    this.#codaAt[at] = passed;
  }

  /** Lets rows of this sequence and its branches see ancestors' histories as they were; see `Backend.recall`. */
  recall(iterations: ArrayLike<number> | undefined): void {
    this.#recalled = iterations && Int32Array.from(iterations);
  }

  /** Iterations by position as of which the sequence sees its ancestors, its own or what it has inherited. */
  get recalled(): Int32Array | undefined {
    return this.#recalled ?? this.parent?.recalled;
  }

  /** Changes whenever an entry that the sequence sees may have come to lie in another slot of a history. */
  get historyVersion(): number {
    return (this.keepsHistory ? this.#writes : 0) + (this.parent?.historyVersion ?? 0);
  }

  /** Whether it, or an ancestor, keeps a history. */
  get seesHistory(): boolean {
    return this.keepsHistory || this.parent?.seesHistory === true;
  }

  /** The slot, as its holder keeps it, of what this sequence sees in `slot` of a position that has written it. */
  storedSlot(stage: Stage, slot: number, position: number): number {
    const holder = this.holderOf(position);
    if (stage === "prelude" || !holder.keepsHistory) return slot;
    const at = position - holder.start;
    const { iterations: kept, coda = false } = holder.options.history!;
    const asOf = this.recalled?.[position] ?? Infinity;
    if (stage === "core") {
      const { coreLayers } = this.#config;
      const written = Math.ceil((holder.#steps[at]! - slot) / coreLayers);
      return Math.max(0, Math.min(asOf, written, kept) - 1) * coreLayers + slot;
    }
    if (!coda) return slot;
    const [first, last] = [holder.#codaFrom[at]!, holder.#codaAt[at]!];
    const passed = Math.min(asOf < first ? first : Math.min(asOf, last), kept);
    return Math.max(0, passed - 1) * this.#config.codaLayers + slot;
  }

  /** Forgets positions from `length` on, its own only. */
  truncate(length: number): void {
    this.length = Math.min(this.length, length);
    this.#steps.fill(0, length - this.start);
    this.#codaAt.fill(0, length - this.start);
    this.#codaFrom.fill(0, length - this.start);
  }

  /** The sequence, of this one and its ancestors, that holds a position. */
  holderOf(position: number): this {
    return position < this.start ? this.parent!.holderOf(position) : this;
  }

  /** Puts the steps of positions from 0 on into `out`, as many as it holds. */
  #copySteps(out: Int32Array): void {
    if (this.parent !== undefined) this.parent.#copySteps(out);
    if (out.length > this.start) out.set(this.#steps.subarray(0, out.length - this.start), this.start);
  }

  /** First position that has not written the slot; `length` when all have. */
  firstMissing(stage: Stage, slot: number): number {
    if (stage === "prelude") return this.length;
    const { sharing } = this.options.cache;
    // a slot counts as written once this many steps have run
    const needed = sharing.kind === "runs" ? slot * sharing.slots : slot;
    const inherited = this.parent?.firstMissing(stage, slot) ?? 0;
    if (inherited < this.start) return inherited;
    const own = this.length - this.start;
    for (let p = 0; p < own; p++) if (stage === "core" ? this.#steps[p]! <= needed : this.#codaAt[p] === 0) return this.start + p;
    return this.length;
  }

  /**
   * The slot that a row reads at each position up to its own, or ABSENT.
   * @param slot    the row's own, written by now
   * @param writing rows that count as having written `layer` of the core, too
   * @throws {FathomError} missing_cache for a strategy without lookup
   */
  visible(stage: Stage, slot: number, position: number, writing: readonly WritingRow[] = [], layer = 0): Int32Array {
    const slots = new Int32Array(position + 1);
    if (stage !== "core") {
      for (let p = 0; p <= position; p++) slots[p] = stage === "prelude" || this.#hasPassedCoda(p) ? slot : ABSENT;
      return slots;
    }
    const { cache } = this.options;
    const { coreLayers } = this.#config;
    const written = new Int32Array(position + 1);
    this.#copySteps(written);
    for (let p = 0; p <= position; p++) written[p] = writtenSlots(cache.sharing, written[p]!);
    for (const row of writing)
      if (row.position <= position && this.holderOf(row.position) === row.sequence)
        written[row.position] = writtenSlots(cache.sharing, row.iterations * coreLayers + layer + 1);
    // a choice of its own for every (row, slot, position): no other row's reading changes it
    resolveSlots(cache, coreLayers, slot, written, slots, (below, p) => Math.floor(below * uniform(position, slot, p)));
    return slots;
  }

  #hasPassedCoda(position: number): boolean {
    const holder = this.holderOf(position);
    return holder.#codaAt[position - holder.start]! > 0;
  }

  /** Slots that a position has written. */
  writtenAt(position: number): { readonly stage: Stage; readonly slot: number }[] {
    if (position >= this.length) return [];
    const holder = this.holderOf(position);
    const counts: Readonly<Record<Stage, number>> = {
      prelude: layersOf(this.#config, "prelude"),
      core: writtenSlots(this.options.cache.sharing, holder.#steps[position - holder.start]!),
      coda: this.#hasPassedCoda(position) ? layersOf(this.#config, "coda") : 0,
    };
    return STAGES.flatMap((stage) => Array.from({ length: counts[stage] }, (_, slot) => ({ stage, slot })));
  }

  /** Slots that any position has written, ascending, in the reference's numbers. */
  get publicSlots(): number[] {
    const slots = new Set<number>();
    for (let p = 0; p < this.length; p++) for (const { stage, slot } of this.writtenAt(p)) slots.add(publicSlot(this.#config, stage, slot));
    return [...slots].sort((a, b) => a - b);
  }

  /** Where a slot of the reference's number is. @throws {FathomError} missing_cache where the position never wrote it */
  find(number: number, position: number): { readonly stage: Stage; readonly slot: number } {
    const found = this.writtenAt(position).find(({ stage, slot }) => publicSlot(this.#config, stage, slot) === number);
    if (found === undefined) throw new FathomError("missing_cache", `Slot ${number} holds nothing for position ${position}.`);
    return found;
  }
}

/**
 * Checks, before rows run an iteration, that every one will find what it must read, layer by layer. Only strategies without
 * lookup can fail, so the others cost nothing.
 * @throws {FathomError} missing_cache
 */
export function checkLookup(rows: readonly WritingRow[], { coreLayers }: ModelConfig): void {
  const isStrict = ({ sequence }: WritingRow): boolean => sequence.options.cache.lookup === "strict";
  if (!rows.some(isStrict)) return; // nearly always: no list is made then
  const strict = rows.filter(isStrict);
  for (const sequence of new Set(strict.map((row) => row.sequence))) {
    const own = strict.filter((row) => row.sequence === sequence);
    const writing = sequence.parent === undefined ? own : strict;
    for (let layer = 0; layer < coreLayers; layer++)
      for (const { position, iterations } of own)
        sequence.visible("core", sequence.slotOf("core", layer, iterations), position, writing, layer);
  }
}
