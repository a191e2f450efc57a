/**
 * A sequence in Wasm memory: its KV cache, what a row of it sees, and the slots of its rows. All that it will ever need is taken when it
 * is opened: slots for its rows (rows.ts), and one region for the cache,
 *   all     [padded] u32: the address of every position's entry in slot 0
 *   own     [padded] u32, then weights [padded] f32: for a row that does not see every position of its slot
 *   scores  [padded] f32: attention scores of one row
 *   [slots][capacity] entries: prelude layers, core slots (engine/cache-strategy.ts), coda layers
 * where padded is the capacity, up to a multiple of 16.
 * An entry is a position's key, then its value: [kvHeads * headDim] f32 each, or int8 with [kvHeads] scales behind it
 * (wasm/assembly/rotary.ts).
 */
import { ABSENT, coreSlot, resolveSlots, writtenSlots } from "../engine/cache-strategy.ts";
import type { Sequence, SequenceOptions } from "../engine/port/backend.ts";
import { FathomError } from "../engine/errors.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { Arena, Region } from "./arena.ts";
import { RowSlots, type RowLayout, type RowRegions } from "./rows.ts";

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

/** Which block of the model a row is in; every one has its slot. */
export type Stage = "prelude" | "core" | "coda";

export class WasmSequence implements Sequence {
  readonly options: SequenceOptions;
  length = 0;
  readonly cache: Region;
  readonly slots: RowSlots;
  /** Core block steps that each position has run. */
  readonly steps: Int32Array;
  /** 1 where a position has passed the coda. */
  readonly codaWritten: Uint8Array;
  /** Address of slot 0's entry of position 0. */
  readonly entries: number;
  readonly slotBytes: number;
  readonly #layout: EntryLayout;
  readonly #preludeLayers: number;
  readonly #coreSlots: number;
  readonly #coreLayers: number;
  #random = 1;

  constructor(
    options: SequenceOptions,
    config: ModelConfig,
    layout: EntryLayout,
    rowLayout: RowLayout,
    regions: SequenceRegions,
    arena: Arena,
  ) {
    this.options = options;
    this.cache = regions.cache;
    this.slots = new RowSlots(arena, regions, rowLayout, options);
    this.steps = new Int32Array(options.capacity);
    this.codaWritten = new Uint8Array(options.capacity);
    this.entries = regions.cache.address + LISTS * listBytes(options.capacity);
    this.slotBytes = options.capacity * layout.entryBytes;
    this.#layout = layout;
    this.#preludeLayers = config.preludeLayers;
    this.#coreLayers = config.coreLayers;
    this.#coreSlots = coreSlots(options, config);
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

  truncate(length: number): void {
    this.length = Math.min(this.length, length);
    this.steps.fill(0, length);
    this.codaWritten.fill(0, length);
  }

  /** Core slot, counted from 0, that a position writes at its iteration `t` in a core layer. */
  coreSlotAt(t: number, layer: number): number {
    return coreSlot(this.options.cache.sharing, t * this.#coreLayers + layer);
  }

  get coreSlots(): number {
    return this.#coreSlots;
  }

  /** Bytes from slot 0 to a stage's slot; `slot` counts from 0 within the stage. */
  slotOffset(stage: Stage, slot: number): number {
    const first = stage === "prelude" ? 0 : stage === "core" ? this.#preludeLayers : this.#preludeLayers + this.#coreSlots;
    return (first + slot) * this.slotBytes;
  }

  entryAddress(stage: Stage, slot: number, position: number): number {
    return this.entries + this.slotOffset(stage, slot) + position * this.#layout.entryBytes;
  }

  /** First position that has not written the slot; `length` when all have. */
  firstMissing(stage: Stage, slot: number): number {
    if (stage === "prelude") return this.length;
    const { sharing } = this.options.cache;
    // a slot counts as written once this many steps have run
    const needed = sharing.kind === "runs" ? slot * sharing.slots : slot;
    for (let p = 0; p < this.length; p++) if (stage === "core" ? this.steps[p]! <= needed : this.codaWritten[p] === 0) return p;
    return this.length;
  }

  /**
   * Names, by ascending position, the entries that a row at `position` sees where some are missing.
   * @throws {FathomError} missing_cache
   */
  listVisible(stage: Stage, slot: number, position: number, take: (position: number, address: number) => void): void {
    if (stage !== "core") {
      for (let p = 0; p <= position; p++) if (stage === "prelude" || this.codaWritten[p] === 1) take(p, this.entryAddress(stage, slot, p));
      return;
    }
    const { cache } = this.options;
    const written = new Int32Array(position + 1);
    for (let p = 0; p <= position; p++) written[p] = writtenSlots(cache.sharing, this.steps[p]!);
    const slots = new Int32Array(position + 1);
    resolveSlots(cache, this.#coreLayers, slot, written, slots, (below) => this.#pick(below));
    for (let p = 0; p <= position; p++) if (slots[p] !== ABSENT) take(p, this.entryAddress("core", slots[p]!, p));
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

/** Bytes of a sequence's cache and of what attention over it needs. */
export function cacheBytes(options: SequenceOptions, config: ModelConfig, layout: EntryLayout): number {
  const slots = config.preludeLayers + coreSlots(options, config) + config.codaLayers;
  return LISTS * listBytes(options.capacity) + slots * options.capacity * layout.entryBytes;
}

function coreSlots(options: SequenceOptions, config: ModelConfig): number {
  return writtenSlots(options.cache.sharing, options.maxIterations * config.coreLayers);
}

function listBytes(capacity: number): number {
  return Math.ceil(capacity / 16) * 64;
}
