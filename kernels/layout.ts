/**
 * Where everything of a row lies, in f32 elements: its scratch (by place in the call), its state (by slot), and in bytes
 * its entry in the row table. What the shaders lay out themselves is read from their text.
 */
import type { ModelConfig } from "../engine/model/config.ts";
import { declarationsIn, type Constants } from "./shader.ts";

const rows = declarationsIn("parts/rows");

/** A row's entry in the row table. */
export const ROW = rows.struct("Row");

/** Stands in the place of an offset where there is none. */
export const NONE = rows.constant("NONE");

/** Elements that a pair of sums covers: the rows of a tile. */
const STATS_SPAN = 16;

/** Offsets within a row of scratch; `stride` is its length. */
export interface ScratchLayout {
  readonly stride: number;
  /** Block input, [width] */
  readonly x: number;
  /** Block output before its last norm, [width] */
  readonly z: number;
  /** State after attention, before a norm on it, [width] */
  readonly mid: number;
  /** State after attention and the norms on it, [width] */
  readonly u: number;
  /** Queries, [heads * headDim]; keys behind them, [kvHeads * headDim], where a norm follows */
  readonly query: number;
  /** Attention's output, [heads * headDim] */
  readonly attention: number;
  /** Largest score and sum of exponents of every head, [heads] pairs */
  readonly peaks: number;
  /** fc's output, gate then up, [2 * mlpWidth] */
  readonly hidden: number;
  /** Sums of x, mid and z: pairs, one for every 16 elements. */
  readonly xStats: number;
  readonly midStats: number;
  readonly zStats: number;
  /** One pair: sums of u, where a phase of its own makes it. */
  readonly uStats: number;
  /** Pairs in each of them. */
  readonly parts: number;
}

export function scratchLayout(config: ModelConfig): ScratchLayout {
  const { width, mlpWidth, heads, kvHeads, headDim, block } = config;
  const parts = Math.ceil(width / STATS_SPAN);
  let at = 0;
  const take = (elements: number): number => {
    const start = at;
    at += Math.ceil(elements / 4) * 4;
    return start;
  };
  const [x, z, mid, u] = [take(width), take(width), take(width), take(width)];
  const [query, attention] = [take((heads + (block.qkNorm ? kvHeads : 0)) * headDim), take(heads * headDim)];
  const [peaks, hidden] = [take(2 * config.heads), take(2 * mlpWidth)];
  const [xStats, midStats, zStats, uStats] = [take(2 * parts), take(2 * parts), take(2 * parts), take(2)];
  return { stride: at, x, z, mid, u, query, attention, peaks, hidden, xStats, midStats, zStats, uStats, parts };
}

/** Offsets within a slot's row of `states`; parts/states.wgsl says what lies there. */
export interface StateLayout {
  readonly stride: number;
  readonly state: number;
  readonly embedded: number;
  readonly headInput: number;
  /** One pair: sums of s. */
  readonly stats: number;
}

export function stateLayout({ width }: ModelConfig): StateLayout {
  const { constant } = declarationsIn("parts/states", { WIDTH: width });
  const stats = constant("STATE_STATS_AT");
  return {
    state: constant("STATE_AT"),
    embedded: constant("EMBEDDED_AT"),
    headInput: constant("HEAD_INPUT_AT"),
    stats,
    stride: Math.ceil((stats + 2) / 4) * 4,
  };
}

/**
 * What every shader knows of the model.
 * @param threads of a matmul workgroup: 64 or 256
 * @param cacheHeads heads of keys in one part of the cache
 */
export function modelConstants(
  config: ModelConfig,
  at: { finalNorm: number; rotaryCos: number; rotarySin: number },
  threads: number,
  cacheHeads = config.kvHeads,
): Constants {
  return {
    THREADS: threads,
    WIDTH: config.width,
    HEADS: config.heads,
    KV_HEADS: config.kvHeads,
    CACHE_HEADS: cacheHeads,
    QK_NORM: config.block.qkNorm ? 1 : 0,
    HEAD_DIM: config.headDim,
    PRELUDE_LAYERS: config.preludeLayers,
    CORE_LAYERS: config.coreLayers,
    VOCAB: config.vocabSize,
    EMBED_SCALE: { f32: config.embedScale },
    STATE_STRIDE: stateLayout(config).stride,
    FINAL_NORM_AT: at.finalNorm,
    ROTARY_COS_AT: at.rotaryCos,
    ROTARY_SIN_AT: at.rotarySin,
    INTERLEAVED: config.block.rotary === "interleaved" ? 1 : 0,
  };
}
