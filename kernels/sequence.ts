/**
 * A sequence on the device: its region of the KV cache, and the word of every position that says what it has written.
 * The host's copy of those words is engine/port/cached-sequence.ts. Cache: [slots][capacity] entries; slots: prelude layers, core slots, coda layers.
 */
import type { CacheLookup, CacheSharing } from "../engine/cache-strategy.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { Stage } from "../engine/model/stage.ts";
import type { SequenceOptions } from "../engine/port/backend.ts";
import { CachedSequence, cacheSlots } from "../engine/port/cached-sequence.ts";
import type { Region } from "./arena.ts";

/** As numbered in parts/slots.wgsl. `strict` sees what is present; the host makes sure that all is. */
const LOOKUPS: Readonly<Record<CacheLookup, number>> = {
  full: 0,
  skip: 0,
  strict: 0,
  latest: 1,
  available: 1,
  "always-last": 2,
  randomized: 3,
};
const SHARINGS: Readonly<Record<CacheSharing["kind"], number>> = { none: 0, cyclic: 1, runs: 2, anchor: 3 };

/** As numbered in parts/slots.wgsl. */
export const STAGE_NUMBERS: Readonly<Record<Stage, number>> = { prelude: 0, core: 1, coda: 2 };

/** Elements of a cache entry: a key, then a value. */
export function entryElements(config: ModelConfig): number {
  return 2 * config.kvHeads * config.headDim;
}

/** Bytes of the cache and of the positions' words. */
export function sequenceBytes(options: SequenceOptions, config: ModelConfig): { cache: number; steps: number } {
  return { cache: cacheSlots(options, config) * options.capacity * entryElements(config) * 4, steps: options.capacity * 4 };
}

/** Of the `randomized` lookup: the same for all, so that a choice depends on the row alone. */
const SEED = 1;

export class GpuSequence extends CachedSequence {
  readonly cache: Region;
  readonly steps: Region;
  readonly #config: ModelConfig;
  /** Closed by its owner: nothing may be written for it any more. */
  isClosed = false;

  constructor(options: SequenceOptions, config: ModelConfig, cache: Region, steps: Region) {
    super(options, config);
    this.cache = cache;
    this.steps = steps;
    this.#config = config;
  }

  /** Fields of a row's entry in the row table that it has from its sequence: cache_at .. seed. */
  get rowFields(): number[] {
    const { cache, capacity } = this.options;
    const { sharing } = cache;
    const slots = sharing.kind === "cyclic" || sharing.kind === "runs" ? sharing.slots : 1;
    return [
      this.cache.offset / 4,
      this.steps.offset / 4,
      capacity,
      this.coreSlots,
      LOOKUPS[cache.lookup],
      SHARINGS[sharing.kind],
      slots,
      SEED,
    ];
  }

  /** Byte offset of an entry in the cache; `slot` counts from 0 within its stage. */
  entryOffset(stage: Stage, slot: number, position: number): number {
    const { preludeLayers } = this.#config;
    const first = { prelude: 0, core: preludeLayers, coda: preludeLayers + this.coreSlots }[stage];
    return this.cache.offset + ((first + slot) * this.options.capacity + position) * entryElements(this.#config) * 4;
  }
}
