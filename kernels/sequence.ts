/**
 * A sequence on the device: its region of the KV cache, and the word of every position that says what it has written.
 * The host's copy of those words is engine/port/cached-sequence.ts. Cache: [slots][capacity] entries; slots: prelude layers, core slots, coda layers.
 */
import type { CacheLookup, CacheSharing } from "../engine/cache-strategy.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { Stage } from "../engine/model/stage.ts";
import type { SequenceOptions } from "../engine/port/backend.ts";
import { CachedSequence, cacheSlots } from "../engine/port/cached-sequence.ts";
import { undoing, type Arena, type Region } from "./arena.ts";
import type { CacheLayout } from "./cache-layout.ts";
import { NONE } from "./layout.ts";
import { pack } from "./pack.ts";
import { declarationsIn } from "./shader.ts";

const { constant } = declarationsIn("parts/slots");
const STRETCH = declarationsIn("parts/rows").struct("Stretch");

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

/** Bytes of each part of the cache, and of the positions' words with the stretch behind them. */
export function sequenceBytes(options: SequenceOptions, config: ModelConfig, layout: CacheLayout): { cachePart: number; steps: number } {
  const entries = cacheSlots(options, config) * options.capacity;
  return { cachePart: entries * layout.entryElements * 4, steps: options.capacity * 4 + STRETCH.size };
}

/** The regions of such a sequence. @throws {FathomError} out_of_memory, with nothing taken */
export function reserve(
  options: SequenceOptions,
  config: ModelConfig,
  layout: CacheLayout,
  caches: Arena,
  words: Arena,
): { readonly cache: Region; readonly steps: Region } {
  const bytes = sequenceBytes(options, config, layout);
  const cache = caches.allocate(bytes.cachePart);
  const steps = undoing(
    () => words.allocate(bytes.steps),
    () => caches.free(cache),
  );
  return { cache, steps };
}

/** Seed of the `randomized` lookup, the same for all, so that a choice depends on the row alone. */
const SEED = 1;

/** Fields of a row that are the same for all rows of a sequence, by the names of parts/rows.wgsl. */
export const SEQUENCE_FIELDS = [
  "cache_at",
  "steps_at",
  "capacity",
  "first",
  "parent_at",
  "core_slots",
  "lookup",
  "sharing",
  "sharing_slots",
  "seed",
] as const;
export type SequenceFields = Readonly<Record<(typeof SEQUENCE_FIELDS)[number], number>>;

export class GpuSequence extends CachedSequence {
  /** Place of its keys and values, in every part of the cache. */
  readonly cache: Region;
  readonly steps: Region;
  readonly #layout: CacheLayout;
  readonly #config: ModelConfig;
  /** Closed by its owner: nothing may be written for it any more. */
  isClosed = false;

  constructor(
    options: SequenceOptions,
    config: ModelConfig,
    layout: CacheLayout,
    { cache, steps }: { readonly cache: Region; readonly steps: Region },
    parent?: GpuSequence,
  ) {
    super(options, config, parent);
    this.cache = cache;
    this.steps = steps;
    this.#layout = layout;
    this.#config = config;
  }

  /** What a row's entry in the row table has from its sequence. */
  get rowFields(): SequenceFields {
    const { cache } = this.options;
    const { sharing } = cache;
    return {
      ...this.#stretch,
      core_slots: this.coreSlots,
      lookup: LOOKUPS[cache.lookup],
      sharing: SHARINGS[sharing.kind],
      sharing_slots: sharing.kind === "cyclic" || sharing.kind === "runs" ? sharing.slots : 1,
      seed: SEED,
    };
  }

  /** Where the sequence's own positions lie, counted from where position 0 would: shaders' addresses wrap around as these do. */
  get #stretch(): Pick<SequenceFields, "cache_at" | "steps_at" | "capacity" | "first" | "parent_at"> {
    const { start, parent } = this;
    return {
      cache_at: (this.cache.offset / 4 - start * this.#layout.entryElements) >>> 0,
      steps_at: (this.steps.offset / 4 - start) >>> 0,
      capacity: this.options.capacity,
      first: start,
      parent_at: parent === undefined ? NONE : parent.stretchOffset / 4,
    };
  }

  /** Words by which branches find the sequence, for the bytes at `stretchOffset`. */
  packStretch(): Uint32Array {
    return pack(STRETCH, this.#stretch);
  }

  /** Byte offset of its stretch in the positions' words. */
  get stretchOffset(): number {
    return this.wordOffset(this.end);
  }

  /** Byte offset of the word of a position of its own. */
  wordOffset(position: number): number {
    return this.steps.offset + 4 * (position - this.start);
  }

  /** Byte offset of an entry in each part of the cache; `slot` counts from 0 within its stage. */
  entryOffset(stage: Stage, slot: number, position: number): number {
    const { preludeLayers } = this.#config;
    const first = { prelude: 0, core: preludeLayers, coda: preludeLayers + this.coreSlots }[stage];
    const { cache, start, options } = this.holderOf(position);
    return cache.offset + ((first + slot) * options.capacity + position - start) * this.#layout.entryElements * 4;
  }
}
