/**
 * A sequence in Wasm memory: its KV cache, what a row of it sees, and the slots of its rows. All that it will ever need
 * is taken when it is opened: slots for its rows (row-slots.ts), and one region for the cache,
 *   all     [padded] u32: the address of every position's entry in slot 0
 *   own     [padded] u32, then weights [padded] f32: for a row that does not see every position of its slot
 *   scores  [padded] f32: attention scores of one row
 *   [slots][capacity] entries: prelude layers, core slots (engine/cache-strategy.ts), coda layers
 * where padded is the capacity, up to a multiple of 16.
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
  /** From a key to its value. */
  readonly valueOffset: number;
  /** int8: from a key to its scales, and from a value to its. */
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
  readonly #entryBytes: number;
  readonly #preludeLayers: number;

  constructor(
    options: SequenceOptions,
    config: ModelConfig,
    layout: EntryLayout,
    rowLayout: RowLayout,
    regions: SequenceRegions,
    arena: Arena,
  ) {
    super(options, config);
    this.cache = regions.cache;
    this.slots = new RowSlots(arena, regions, rowLayout, options);
    this.entries = regions.cache.address + LISTS * listBytes(options.capacity);
    this.slotBytes = options.capacity * layout.entryBytes;
    this.#entryBytes = layout.entryBytes;
    this.#preludeLayers = config.preludeLayers;
    const list = this.allList / 4;
    const padded = listBytes(options.capacity) / 4;
    for (let p = 0; p < padded; p++) arena.words[list + p] = this.entries + Math.min(p, options.capacity - 1) * layout.entryBytes;
  }

  /** Address of the list that names every position's entry, [capacity] u32. */
  get allList(): number {
    return this.cache.address;
  }

  /** Address of the list of one row that does not see every position, [position + 1] u32. */
  get ownList(): number {
    return this.allList + listBytes(this.options.capacity);
  }

  /** Address of the attention weights by entry of `ownList`, f32. */
  get ownWeights(): number {
    return this.ownList + listBytes(this.options.capacity);
  }

  /** Address of scratch for one row's attention, [capacity] f32. */
  get scores(): number {
    return this.ownWeights + listBytes(this.options.capacity);
  }

  /** Bytes from slot 0 to a stage's slot; `slot` counts from 0 within the stage. */
  slotOffset(stage: Stage, slot: number): number {
    const first = stage === "prelude" ? 0 : stage === "core" ? this.#preludeLayers : this.#preludeLayers + this.coreSlots;
    return (first + slot) * this.slotBytes;
  }

  entryAddress(stage: Stage, slot: number, position: number): number {
    return this.entries + this.slotOffset(stage, slot) + position * this.#entryBytes;
  }

  /** Names, by ascending position, the entries that a row at `position` sees where some are missing. */
  listVisible(stage: Stage, slot: number, position: number, take: (position: number, address: number) => void): void {
    this.visible(stage, slot, position).forEach((seen, p) => {
      if (seen !== ABSENT) take(p, this.entryAddress(stage, seen, p));
    });
  }
}

/** Bytes of a sequence's cache and of what attention over it needs. */
export function cacheBytes(options: SequenceOptions, config: ModelConfig, layout: EntryLayout): number {
  return LISTS * listBytes(options.capacity) + cacheSlots(options, config) * options.capacity * layout.entryBytes;
}

function listBytes(capacity: number): number {
  return Math.ceil(capacity / 16) * 64;
}
