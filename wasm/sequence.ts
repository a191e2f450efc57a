/**
 * A sequence in Wasm memory: its KV cache, what a row of it sees, and the slots of its rows. All that it will ever need
 * is taken when it is opened: slots for its rows (row-slots.ts), and one region for the cache,
 *   all     [padded] u32: the address of every position's entry in slot 0; of a branch, whose ancestors' entries lie
 *           elsewhere, and of a history, in the slot that was asked for last
 *   own     [padded] u32, then weights [padded] f32: for a row that does not see every position of its slot
 *   scores  [padded] f32: attention scores of one row
 *   [slots][capacity] entries: prelude layers, core slots (engine/cache-strategy.ts), coda layers; of a history the
 *   core's and the coda's for every iteration
 * where padded is the positions up to the capacity's end, a branch's ancestors' among them, up to a multiple of 16.
 * An entry is a position's key, then its value: [kvHeads * headDim] f32 each, or int8 with [kvHeads] scales behind it
 * (wasm/assembly/rotary.ts).
 */
import { ABSENT } from "../engine/cache-strategy.ts";
import { FathomError } from "../engine/errors.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { Stage } from "../engine/model/stage.ts";
import type { SequenceOptions } from "../engine/port/backend.ts";
import { CachedSequence, cacheSlots } from "../engine/port/cached-sequence.ts";
import type { Arena, Region } from "./arena.ts";
import { RowSlots, type RowLayout, type RowRegions } from "./row-slots.ts";

export type KvFormat = "f32" | "int8";

/** Bytes within an entry. */
export interface EntryLayout {
  readonly format: KvFormat;
  /** Bytes from a key to its value. */
  readonly valueOffset: number;
  /** Bytes from a key to its scales, and from a value to its, in int8. */
  readonly scaleOffset: number;
  readonly entryBytes: number;
}

/** Largest headDim that the int8 kernels have room for. */
export const LARGEST_INT8_HEAD = 512;

/** @throws {FathomError} unavailable */
export function entryLayout(config: ModelConfig, format: KvFormat): EntryLayout {
  if (format === "int8" && config.headDim > LARGEST_INT8_HEAD)
    throw new FathomError(
      "unavailable",
      `An int8 cache takes heads of up to ${LARGEST_INT8_HEAD}; this model's have ${config.headDim}.`,
      "kv",
    );
  const elements = config.kvHeads * config.headDim;
  const scaleOffset = format === "f32" ? elements * 4 : align16(elements);
  const keyBytes = format === "f32" ? scaleOffset : scaleOffset + config.kvHeads * 8;
  const valueBytes = format === "f32" ? scaleOffset : scaleOffset + config.kvHeads * 4;
  const valueOffset = align16(keyBytes);
  return { format, valueOffset, scaleOffset, entryBytes: valueOffset + align16(valueBytes) };
}

function align16(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}

/** The memory of one sequence. */
export interface SequenceRegions extends RowRegions {
  readonly cache: Region;
}

/** all, own with its weights, scores */
const LISTS = 4;

export class WasmSequence extends CachedSequence {
  readonly cache: Region;
  readonly slots: RowSlots;
  /** Address of slot 0's entry of position 0. */
  readonly entries: number;
  readonly slotBytes: number;
  readonly #arena: Arena;
  readonly #entryBytes: number;
  readonly #preludeLayers: number;
  /** The slot that an `allList` written for one names, as its offset; and what it was written by. */
  #listed = NaN;
  #listedRecall: Int32Array | undefined;
  #listedVersion = 0;

  constructor(
    options: SequenceOptions,
    config: ModelConfig,
    layout: EntryLayout,
    rowLayout: RowLayout,
    regions: SequenceRegions,
    arena: Arena,
    parent?: WasmSequence,
    from?: number,
  ) {
    super(options, config, parent, from);
    this.cache = regions.cache;
    this.slots = new RowSlots(arena, regions, rowLayout, options, this.start);
    this.entries = regions.cache.address + LISTS * listBytes(this.end);
    this.slotBytes = options.capacity * layout.entryBytes;
    this.#arena = arena;
    this.#entryBytes = layout.entryBytes;
    this.#preludeLayers = config.preludeLayers;
    if (!this.listsAnew) this.#writeList("prelude", 0);
  }

  /** Names the entries of a slot in `allList`: of all positions, those that are still to come, too. */
  #writeList(stage: Stage, slot: number): void {
    const { words } = this.#arena;
    const list = this.allList / 4;
    this.#name(stage, slot, words, list, this.end, this);
    words.fill(words[list + this.end - 1]!, list + this.end, list + listBytes(this.end) / 4);
  }

  /** Writes the addresses of a slot's entries at positions before `end`, its ancestors' among them, as `reader` sees them. */
  #name(stage: Stage, slot: number, words: Uint32Array, list: number, end: number, reader: WasmSequence): void {
    if (this.parent !== undefined) this.parent.#name(stage, slot, words, list, this.start, reader);
    if (this.keepsHistory && stage !== "prelude") {
      for (let p = this.start; p < end; p++) words[list + p] = reader.entryAddress(stage, slot, p);
      return;
    }
    let address = this.entries + this.slotOffset(stage, slot);
    for (let p = this.start; p < end; p++, address += this.#entryBytes) words[list + p] = address;
  }

  /** Whether `allList` is written anew for each slot: entries of ancestors and of histories do not lie alike in all of them. */
  get listsAnew(): boolean {
    return this.parent !== undefined || this.keepsHistory;
  }

  /** Whether `allList`, with `listShift`, names a slot without being written anew. */
  hasListed(stage: Stage, slot: number): boolean {
    if (!this.listsAnew) return true;
    if (this.#listed !== this.slotOffset(stage, slot)) return false;
    return !this.seesHistory || (this.#listedRecall === this.recalled && this.#listedVersion === this.historyVersion);
  }

  /** Makes `allList`, with `listShift`, name a slot. */
  list(stage: Stage, slot: number): void {
    if (this.hasListed(stage, slot)) return;
    this.#writeList(stage, slot);
    this.#listed = this.slotOffset(stage, slot);
    this.#listedRecall = this.recalled;
    this.#listedVersion = this.historyVersion;
  }

  /** Bytes to add to the addresses in `allList` for a slot that has been listed. */
  listShift(stage: Stage, slot: number): number {
    return this.listsAnew ? 0 : this.slotOffset(stage, slot);
  }

  /** Address of the list that names every position's entry, [end] u32. */
  get allList(): number {
    return this.cache.address;
  }

  /** Address of the list of one row that does not see every position, [position + 1] u32. */
  get ownList(): number {
    return this.allList + listBytes(this.end);
  }

  /** Address of the attention weights by entry of `ownList`, f32. */
  get ownWeights(): number {
    return this.ownList + listBytes(this.end);
  }

  /** Address of scratch for one row's attention, [end] f32. */
  get scores(): number {
    return this.ownWeights + listBytes(this.end);
  }

  /** Bytes from slot 0 to a stage's slot; `slot` counts from 0 within the stage. */
  slotOffset(stage: Stage, slot: number): number {
    const first = stage === "prelude" ? 0 : stage === "core" ? this.#preludeLayers : this.#preludeLayers + this.coreSlots;
    return (first + slot) * this.slotBytes;
  }

  /** Address of an entry, in the memory of the ancestor that holds the position. */
  entryAddress(stage: Stage, slot: number, position: number): number {
    const holder = this.holderOf(position);
    return holder.entries + holder.slotOffset(stage, this.storedSlot(stage, slot, position)) + (position - holder.start) * this.#entryBytes;
  }

  /** Names, by ascending position, the entries that a row at `position` sees where some are missing. */
  listVisible(stage: Stage, slot: number, position: number, take: (position: number, address: number) => void): void {
    this.visible(stage, slot, position).forEach((seen, p) => {
      if (seen !== ABSENT) take(p, this.entryAddress(stage, seen, p));
    });
  }
}

/** Bytes of a sequence's cache and of what attention over it needs. @param start of a branch */
export function cacheBytes(options: SequenceOptions, config: ModelConfig, layout: EntryLayout, start: number): number {
  return LISTS * listBytes(start + options.capacity) + cacheSlots(options, config) * options.capacity * layout.entryBytes;
}

function listBytes(positions: number): number {
  return Math.ceil(positions / 16) * 64;
}
