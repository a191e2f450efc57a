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
import { declarationsIn } from "./shader.ts";

const { constant } = declarationsIn("parts/slots");

/** `strict` sees what is present; the host makes sure that all is. */
const LOOKUPS: Readonly<Record<CacheLookup, number>> = {
  full: constant("LOOKUP_PRESENT"),
  skip: constant("LOOKUP_PRESENT"),
  strict: constant("LOOKUP_PRESENT"),
  latest: constant("LOOKUP_LATEST"),
  available: constant("LOOKUP_LATEST"),
  "always-last": constant("LOOKUP_ALWAYS_LAST"),
  randomized: constant("LOOKUP_RANDOMIZED"),
};

const SHARINGS: Readonly<Record<CacheSharing["kind"], number>> = {
  none: constant("SHARING_NONE"),
  cyclic: constant("SHARING_CYCLIC"),
  runs: constant("SHARING_RUNS"),
  anchor: constant("SHARING_ANCHOR"),
};

/** The numbers by which kernels know the model's parts. */
export const STAGE_NUMBERS: Readonly<Record<Stage, number>> = {
  prelude: constant("STAGE_PRELUDE"),
  core: constant("STAGE_CORE"),
  coda: constant("STAGE_CODA"),
};

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

/** Fields of a row that are the same for all rows of a sequence, by the names of parts/rows.wgsl. */
export const SEQUENCE_FIELDS = ["cache_at", "steps_at", "capacity", "core_slots", "lookup", "sharing", "sharing_slots", "seed"] as const;
export type SequenceFields = Readonly<Record<(typeof SEQUENCE_FIELDS)[number], number>>;

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

  /** What a row's entry in the row table has from its sequence. */
  get rowFields(): SequenceFields {
    const { cache, capacity } = this.options;
    const { sharing } = cache;
    return {
      cache_at: this.cache.offset / 4,
      steps_at: this.steps.offset / 4,
      capacity,
      core_slots: this.coreSlots,
      lookup: LOOKUPS[cache.lookup],
      sharing: SHARINGS[sharing.kind],
      sharing_slots: sharing.kind === "cyclic" || sharing.kind === "runs" ? sharing.slots : 1,
      seed: SEED,
    };
  }

  /** Byte offset of an entry in the cache; `slot` counts from 0 within its stage. */
  entryOffset(stage: Stage, slot: number, position: number): number {
    const { preludeLayers } = this.#config;
    const first = { prelude: 0, core: preludeLayers, coda: preludeLayers + this.coreSlots }[stage];
    return this.cache.offset + ((first + slot) * this.options.capacity + position) * entryElements(this.#config) * 4;
  }
}
