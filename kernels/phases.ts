/**
 * A block as phases: which products and attentions it takes, what each reads and where it leaves its result
 * (paper section 3). Pure. A vector is normalised where it is read, from sums that its producer left; so the norm that
 * ends a block is part of what the next one reads.
 */
import type { ModelConfig } from "../engine/model/config.ts";
import type { Stage } from "../engine/model/stage.ts";
import { NONE, type ScratchLayout, type StateLayout } from "./layout.ts";
import type { StructValue } from "./pack.ts";
import { STAGE_NUMBERS } from "./sequence.ts";
import { declarationsIn } from "./shader.ts";
import type { GpuBlock, GpuMatrix } from "./weights.ts";

const sources = declarationsIn("parts/sources");

/** Where an input lies: a row of scratch, a row of states, or a row of scratch that holds gate and up. */
const SOURCE = {
  scratch: sources.constant("SOURCE_SCRATCH"),
  state: sources.constant("SOURCE_STATE"),
  gated: sources.constant("SOURCE_GATED"),
};

/** A vector to read: where it lies, its sums, and the norms that it passes on its way in. */
export interface Input {
  readonly source: keyof typeof SOURCE;
  readonly at: number;
  readonly norms: readonly number[];
  readonly statsAt: number;
  readonly parts: number;
}

/** What a product leaves behind; see Product in parts/product.wgsl. */
export interface Output {
  readonly outAt: number;
  readonly keepAt?: number;
  readonly residualAt?: number;
  readonly outStatsAt?: number;
  readonly outNorm?: number;
  readonly stage?: number;
  readonly layer?: number;
  readonly biasAt?: number;
}

export interface ProductPhase {
  readonly kind: "matmul" | "qkv";
  readonly matrix: GpuMatrix;
  readonly input: Input;
  readonly output: Output;
}

export interface AttentionPhase {
  readonly kind: "attention";
  readonly stage: Stage;
  readonly layer: number;
}

export type Phase = ProductPhase | AttentionPhase;

/** Vectors that stages hand to each other. */
export interface StageInputs {
  /** Scaled embeddings. */
  readonly prelude: Input;
  /** [s | e] */
  readonly adapter: Input;
  readonly core: Input;
  readonly coda: Input;
}

export function stageInputs(config: ModelConfig, finalNorm: number, s: ScratchLayout, states: StateLayout): StageInputs {
  const state = { source: "state", at: states.state, statsAt: states.stats, parts: 1 } as const;
  const x = { source: "scratch", at: s.x, norms: [], statsAt: s.xStats } as const;
  return {
    prelude: { ...x, parts: 1 },
    adapter: { ...state, norms: [] }, // e lies right behind s
    core: { ...x, parts: s.parts },
    coda: { ...state, norms: config.block.normAfterCore ? [finalNorm] : [] },
  };
}

export function adapterPhase(matrix: GpuMatrix, input: Input, s: ScratchLayout): ProductPhase {
  return { kind: "matmul", matrix, input, output: { outAt: s.x, outStatsAt: s.xStats } };
}

/** The phases of a stage's blocks; the first block reads `input`. */
export function blockPhases(config: ModelConfig, s: ScratchLayout, blocks: readonly GpuBlock[], stage: Stage, input: Input): Phase[] {
  const sandwich = config.block.norms === "sandwich";
  return blocks.flatMap((block, layer): Phase[] => {
    const before = outputOf(config, s, blocks.slice(0, layer), input);
    // the residual is the input before norm_1; it is kept in x unless it lies in scratch as it is
    const asIs = before.source === "scratch" && before.norms.length === 0;
    const attended: Input = { source: "scratch", at: s.attention, norms: [], statsAt: 0, parts: 0 };
    const mid: Input = { source: "scratch", at: s.mid, norms: block.norms.slice(1, sandwich ? 3 : 2), statsAt: s.midStats, parts: s.parts };
    const gated: Input = { source: "gated", at: s.hidden, norms: [], statsAt: 0, parts: 0 };
    const place = { stage: STAGE_NUMBERS[stage], layer, biasAt: block.qkBias ?? NONE };
    const qkv: Output = { keepAt: asIs ? NONE : s.x, outAt: s.query, ...place };
    const projection: Output = {
      residualAt: asIs ? before.at : s.x,
      outAt: s.mid,
      outStatsAt: s.midStats,
      outNorm: sandwich ? block.norms[1]! : NONE,
    };
    const end: Output = {
      residualAt: sandwich ? s.u : s.mid,
      outAt: s.z,
      outStatsAt: s.zStats,
      outNorm: sandwich ? block.norms[3]! : NONE,
    };
    return [
      { kind: "qkv", matrix: block.qkv, input: withNorm(before, block.norms[0]!), output: qkv },
      { kind: "attention", stage, layer },
      { kind: "matmul", matrix: block.attentionOut, input: attended, output: projection },
      { kind: "matmul", matrix: block.fc, input: mid, output: { keepAt: sandwich ? s.u : NONE, outAt: s.hidden } },
      { kind: "matmul", matrix: block.mlpOut, input: gated, output: end },
    ];
  });
}

/** What the last of some blocks has made, or their input where there are none. */
export function outputOf(config: ModelConfig, { z, zStats, parts }: ScratchLayout, blocks: readonly GpuBlock[], input: Input): Input {
  const last = blocks.at(-1);
  if (last === undefined) return input;
  return { source: "scratch", at: z, norms: config.block.norms === "sandwich" ? [last.norms[3]!] : [], statsAt: zStats, parts };
}

export function withNorm(input: Input, norm: number): Input {
  return { ...input, norms: [...input.norms, norm] };
}

/** Struct Product of parts/product.wgsl. @param stride of a row that it writes, in elements */
export function productParams({ matrix, input, output }: Omit<ProductPhase, "kind">, stride: number, eps: number): StructValue {
  return {
    outputs: matrix.rows,
    columns: matrix.columns,
    group: matrix.group,
    weights_at: matrix.at,
    stride,
    ...inputParams(input),
    keep_at: output.keepAt ?? NONE,
    residual_at: output.residualAt ?? NONE,
    out_at: output.outAt,
    out_stats_at: output.outStatsAt ?? NONE,
    out_norm: output.outNorm ?? NONE,
    stage: output.stage ?? 0,
    layer: output.layer ?? 0,
    bias_at: output.biasAt ?? NONE,
    eps,
  };
}

/** Struct Attend of parts/visible.wgsl. */
export function attendParams({ stage, layer }: Omit<AttentionPhase, "kind">, s: ScratchLayout): StructValue {
  return { stage: STAGE_NUMBERS[stage], layer, stride: s.stride, query_at: s.query, out_at: s.attention, peaks_at: s.peaks };
}

/** Struct StageEnd of parts/stage-end.wgsl. @param targetAt in a state row */
export function stageEndParams(input: Input, targetAt: number, s: ScratchLayout, eps: number): StructValue {
  return { ...inputParams(input), stride: s.stride, target_at: targetAt, eps };
}

/** What Product and StageEnd say of the vector that they read. */
function inputParams({ source, at, norms, statsAt, parts }: Input): StructValue {
  const [normA = NONE, normB = NONE] = norms;
  return {
    source: SOURCE[source],
    source_at: at,
    norms: norms.length,
    norm_a: normA,
    norm_b: normB,
    stats_at: statsAt,
    stats_parts: parts,
  };
}
