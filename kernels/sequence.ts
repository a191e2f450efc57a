/**
 * A sequence on the device: its region of the KV cache, the word of every position that says what it has written, and
 * the host's copy of those words. Cache: [slots][capacity] entries; slots: prelude layers, core slots, coda layers.
 */
import type { Sequence, SequenceOptions } from "../engine/port/backend.ts";
import { coreSlot, writtenSlots, type CacheLookup, type CacheSharing } from "../engine/cache-strategy.ts";
import { FathomError } from "../engine/errors.ts";
import type { ModelConfig } from "../engine/model/config.ts";
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

export type Stage = "prelude" | "core" | "coda";

/** As numbered in parts/slots.wgsl. */
export const STAGES: Readonly<Record<Stage, number>> = { prelude: 0, core: 1, coda: 2 };

/** Elements of a cache entry: a key, then a value. */
export function entryElements(config: ModelConfig): number {
  return 2 * config.kvHeads * config.headDim;
}

function coreSlots(options: SequenceOptions, config: ModelConfig): number {
  return writtenSlots(options.cache.sharing, options.maxIterations * config.coreLayers);
}

/** Bytes of the cache and of the positions' words. */
export function sequenceBytes(options: SequenceOptions, config: ModelConfig): { cache: number; steps: number } {
  const slots = config.preludeLayers + coreSlots(options, config) + config.codaLayers;
  return { cache: slots * options.capacity * entryElements(config) * 4, steps: options.capacity * 4 };
}

export class GpuSequence implements Sequence {
  readonly options: SequenceOptions;
  readonly cache: Region;
  readonly steps: Region;
  readonly #config: ModelConfig;
  readonly #seed: number;
  /** Core block steps run by each position. */
  readonly #stepsRun: Int32Array;
  /** 1 where a position has passed the coda. */
  readonly #codaPassed: Uint8Array;
  length = 0;
  /** Closed by its owner: nothing may be written for it any more. */
  isClosed = false;

  constructor(options: SequenceOptions, config: ModelConfig, cache: Region, steps: Region, seed: number) {
    this.options = options;
    this.cache = cache;
    this.steps = steps;
    this.#config = config;
    this.#seed = seed;
    this.#stepsRun = new Int32Array(options.capacity);
    this.#codaPassed = new Uint8Array(options.capacity);
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
      coreSlots(this.options, this.#config),
      LOOKUPS[cache.lookup],
      SHARINGS[sharing.kind],
      slots,
      this.#seed,
    ];
  }

  /** Notes that a position has run core blocks up to `layer` of `iteration`. */
  noteStep(position: number, iteration: number, layer: number): void {
    this.#stepsRun[position] = iteration * this.#config.coreLayers + layer + 1;
  }

  noteCoda(position: number): void {
    this.#codaPassed[position] = 1;
  }

  /** Forgets positions from `length` on; whether any was known. */
  truncate(length: number): boolean {
    const known = length < this.length;
    this.length = Math.min(this.length, length);
    this.#stepsRun.fill(0, length);
    this.#codaPassed.fill(0, length);
    return known;
  }

  /** @throws {FathomError} invalid_request where the cache has no room for so many iterations */
  requireRoom(iterations: number): void {
    const { cache, maxIterations } = this.options;
    if (writtenSlots(cache.sharing, iterations * this.#config.coreLayers) > coreSlots(this.options, this.#config))
      throw new FathomError(
        "invalid_request",
        `The sequence was opened for ${maxIterations} iterations; ${iterations} do not fit its cache.`,
        "iterations",
      );
  }

  /** For strategies without lookup: all that a row at `position` needs of the slot of `iteration` and `layer` is there. */
  requireComplete(position: number, iteration: number, layer: number): void {
    const { cache } = this.options;
    const slot = coreSlot(cache.sharing, iteration * this.#config.coreLayers + layer);
    for (let p = 0; p < position; p++)
      if (writtenSlots(cache.sharing, this.#stepsRun[p]!) <= slot)
        throw new FathomError(
          "missing_cache",
          `Cache strategy ${cache.name} found nothing for position ${p}: it stopped before it wrote slot ${slot}. ` +
            `Join it with a lookup, such as latest-m4-${cache.name}.`,
          "cache",
        );
  }

  /** Slots that hold anything, ascending, in the reference's numbers (coda negative). */
  get slots(): number[] {
    const { preludeLayers, codaLayers } = this.#config;
    const core = Math.max(0, ...this.#stepsRun.map((steps) => writtenSlots(this.options.cache.sharing, steps)));
    const coda = this.#codaPassed.includes(1) ? codaLayers : 0;
    return [
      ...Array.from({ length: coda }, (_, i) => i - coda),
      ...Array.from({ length: this.length > 0 ? preludeLayers : 0 }, (_, i) => i),
      ...Array.from({ length: core }, (_, i) => preludeLayers + i),
    ];
  }

  /** Byte offset of an entry in the cache, slots in the reference's numbers. @throws {FathomError} missing_cache */
  entryOffset(slot: number, position: number): number {
    const { preludeLayers } = this.#config;
    const written = slot < 0 ? this.#codaPassed[position] === 1 : this.#isWritten(slot - preludeLayers, position);
    if (position >= this.length || !written) throw new FathomError("missing_cache", `Slot ${slot} holds nothing for position ${position}.`);
    const own = slot < 0 ? preludeLayers + coreSlots(this.options, this.#config) - 1 - slot : slot;
    return this.cache.offset + (own * this.options.capacity + position) * entryElements(this.#config) * 4;
  }

  #isWritten(core: number, position: number): boolean {
    return core < 0 || core < writtenSlots(this.options.cache.sharing, this.#stepsRun[position] ?? 0);
  }
}
