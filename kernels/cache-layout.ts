/**
 * How the KV cache lies in buffers. Where a device cannot bind one that holds a long sequence, the cache is cut by heads:
 * each buffer has the keys and values of some of them, at every slot and position, so that a head's attention reads one
 * buffer and every sequence has a place in each.
 */
/// <reference types="@webgpu/types" />
import type { ModelConfig } from "../engine/model/config.ts";
import { TILE_ROWS } from "../engine/model/quantised.ts";
import type { Range } from "./device.ts";

/** What of the cache one buffer holds. */
export interface CacheLayout {
  /** Buffers. */
  readonly parts: number;
  /** Heads of keys in each; the last may have fewer. */
  readonly heads: number;
  /** f32 elements of an entry in a part: a key of its heads, then a value. */
  readonly entryElements: number;
}

/** Positions for which a cache is cut small enough [where the model has as many]; each cut costs dispatches at every length. */
const PLANNED_POSITIONS = 4096;

/**
 * The fewest parts by which one sequence of the planned length fits, with one iteration's entries, or those of every loop
 * where the model reads them.
 * @param largestBuffer bytes
 */
export function cacheLayout(config: ModelConfig, largestBuffer: number): CacheLayout {
  const { kvHeads, headDim, preludeLayers, coreLayers, codaLayers, recurrence, meanRecurrence, contextLength } = config;
  const loops = recurrence.exitGate ? meanRecurrence : 1;
  const entries = (preludeLayers + coreLayers * loops + codaLayers) * Math.min(contextLength, PLANNED_POSITIONS);
  const layouts = Array.from({ length: kvHeads }, (_, i): CacheLayout => {
    const heads = Math.ceil(kvHeads / (i + 1));
    return { parts: Math.ceil(kvHeads / heads), heads, entryElements: 2 * heads * headDim };
  }).filter((layout) => isCuttable(layout, config));
  return layouts.find(({ entryElements }) => entries * 4 * entryElements <= largestBuffer) ?? layouts.at(-1)!;
}

/** Whether the products that make keys and values can be cut where their heads are: between tiles. */
function isCuttable({ parts, heads }: CacheLayout, { heads: queries, kvHeads, headDim }: ModelConfig): boolean {
  return parts === 1 || [queries, kvHeads, heads].every((count) => (count * headDim) % TILE_ROWS === 0);
}

/** The shared buffer of a part, by the host's name. */
export function cacheName(part: number): string {
  return part === 0 ? "cache" : `cache ${part}`;
}

/** Where the parts of an entry lie: its key by parts, then its value. @param offset bytes of the entry, in every part */
export function entryRanges(
  { parts, heads, entryElements }: CacheLayout,
  { kvHeads, headDim }: ModelConfig,
  offset: number,
  bufferOf: (part: number) => GPUBuffer,
): Range[] {
  return [0, 2 * entryElements].flatMap((half) =>
    Array.from({ length: parts }, (_, part) => ({
      buffer: bufferOf(part),
      offset: offset + half,
      bytes: 4 * Math.min(heads, kvHeads - part * heads) * headDim,
    })),
  );
}
