/**
 * A block as phases: which products and attentions it takes, what each reads and where it leaves its result
 * (paper section 3). Pure. A vector is normalised where it is read, from sums that its producer left; so the norm that
 * ends a block is part of what the next one reads.
 */
import type { ModelConfig } from "../engine/model/config.ts";
import type { Stage } from "../engine/model/stage.ts";
import type { HalfNorms } from "../engine/port/assemble.ts";
import { NONE, type ScratchLayout, type StateLayout } from "./layout.ts";
import type { StructValue } from "./pack.ts";
import { STAGE_NUMBERS } from "./sequence.ts";
import { declarationsIn } from "./shader.ts";
import { weightsAt, type GpuMatrix } from "./matrix.ts";
import type { HeadRange, ProductRange } from "./ranges.ts";
import type { GpuBlock } from "./weights.ts";

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

/** Norms over all queries and keys of a layer. */
export interface QkNormPhase {
  readonly kind: "norm_qk";
  readonly stage: Stage;
  readonly layer: number;
  readonly query: number;
  readonly key: number;
}

/** What a half has made, normalised, on the residual. */
export interface JoinPhase {
  readonly kind: "join";
  readonly made: Input;
  readonly norm: number;
  readonly residualAt: number;
  readonly outAt: number;
  readonly outStatsAt: number;
}

/** The first iteration without the adapter. */
interface SkipPhase {
  readonly kind: "skip_adapter";
}

export type Phase = ProductPhase | AttentionPhase | QkNormPhase | JoinPhase | SkipPhase;

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
  const { finalNorm: places, injection } = config.recurrence;
  const state = { source: "state", at: states.state, statsAt: states.stats, parts: 1, norms: [] } as const;
  const x = { source: "scratch", at: s.x, norms: [], statsAt: s.xStats } as const;
  return {
    prelude: { ...x, parts: 1 },
    adapter: state, // e lies right behind s
    core: injection === "adapter" ? { ...x, parts: s.parts } : state,
    coda: places.includes("coda") ? withNorm(state, finalNorm) : state,
  };
}

/** What comes before the core's blocks. @param matrix undefined: nothing */
export function injectionPhases(config: ModelConfig, matrix: GpuMatrix | undefined, input: Input, s: ScratchLayout): Phase[] {
  if (matrix === undefined) return [];
  const adapter = adapterPhase(matrix, input, s);
  return config.recurrence.skipsAdapter ? [adapter, { kind: "skip_adapter" }] : [adapter];
}

export function adapterPhase(matrix: GpuMatrix, input: Input, s: ScratchLayout): ProductPhase {
  return { kind: "matmul", matrix, input, output: { outAt: s.x, outStatsAt: s.xStats } };
}

/** The phases of a stage's blocks; the first block reads `input`. */
export function blockPhases(s: ScratchLayout, blocks: readonly GpuBlock[], stage: Stage, input: Input): Phase[] {
  return blocks.flatMap((block, layer): Phase[] => {
    const before = outputOf(s, blocks.slice(0, layer), input);
    // the residual is the input before the block's first norm; it is kept in x unless it lies in scratch as it is
    const asIs = before.source === "scratch" && before.norms.length === 0;
    const { attentionNorms, mlpNorms, qkNorm } = block;
    const attended: Input = { source: "scratch", at: s.attention, norms: [], statsAt: 0, parts: 0 };
    const gated: Input = { source: "gated", at: s.hidden, norms: [], statsAt: 0, parts: 0 };
    const place = { stage: STAGE_NUMBERS[stage], layer, biasAt: block.qkBias ?? NONE };
    const qkv: Output = { keepAt: asIs ? NONE : s.x, outAt: s.query, ...place };
    const attention = halfPhases(s, block.attentionOut, attended, attentionNorms, asIs ? before.at : s.x, "mid");
    const { end: mid } = attention;
    // a norm on the sum is applied where mid is read, which keeps what it makes as the MLP's residual
    const keepsU = mid.norms.length > 0;
    const mlp = halfPhases(s, block.mlpOut, gated, mlpNorms, keepsU ? s.u : mid.at, "z");
    return [
      { kind: "qkv", matrix: block.qkv, input: withNorm(before, attentionNorms.input), output: qkv },
      ...(qkNorm === undefined ? [] : [{ kind: "norm_qk", stage, layer, ...qkNorm } as const]),
      { kind: "attention", stage, layer },
      ...attention.phases,
      { kind: "matmul", matrix: block.fc, input: withNorm(mid, mlpNorms.input), output: { keepAt: keepsU ? s.u : NONE, outAt: s.hidden } },
      ...mlp.phases,
    ];
  });
}

/** The end of a half: its last product, and how it comes onto the residual. */
function halfPhases(
  s: ScratchLayout,
  matrix: GpuMatrix,
  input: Input,
  norms: HalfNorms<number>,
  residualAt: number,
  to: "mid" | "z",
): { readonly phases: readonly Phase[]; readonly end: Input } {
  const end = halfEnd(s, norms, to);
  const made: Input = { source: "scratch", at: s[to], norms: [], statsAt: s[`${to}Stats`], parts: s.parts };
  if (norms.output === undefined)
    return {
      phases: [
        { kind: "matmul", matrix, input, output: { residualAt, outAt: made.at, outStatsAt: made.statsAt, outNorm: norms.sum ?? NONE } },
      ],
      end,
    };
  return {
    phases: [
      { kind: "matmul", matrix, input, output: { outAt: made.at, outStatsAt: made.statsAt } },
      { kind: "join", made, norm: norms.output, residualAt, outAt: end.at, outStatsAt: end.statsAt },
    ],
    end,
  };
}

/** Where a half leaves the residual stream. With a norm on its output, the sum takes a phase of its own, into u or x. */
function halfEnd(s: ScratchLayout, { output, sum }: HalfNorms<number>, to: "mid" | "z"): Input {
  if (output === undefined)
    return { source: "scratch", at: s[to], norms: sum === undefined ? [] : [sum], statsAt: s[`${to}Stats`], parts: s.parts };
  const [at, statsAt] = to === "mid" ? [s.u, s.uStats] : [s.x, s.xStats];
  return { source: "scratch", at, norms: [], statsAt, parts: 1 };
}

/** What the last of some blocks has made, or their input where there are none. */
export function outputOf(s: ScratchLayout, blocks: readonly GpuBlock[], input: Input): Input {
  const last = blocks.at(-1);
  return last === undefined ? input : halfEnd(s, last.mlpNorms, "z");
}

export function withNorm(input: Input, norm: number | undefined): Input {
  return norm === undefined ? input : { ...input, norms: [...input.norms, norm] };
}

/** Struct Product of parts/product.wgsl, of a dispatch. @param stride of a row that it writes, in elements */
export function productParams(
  { matrix, input, output }: Omit<ProductPhase, "kind">,
  { part, from, to, firstKey }: ProductRange,
  stride: number,
  eps: number,
): StructValue {
  return {
    outputs: to,
    columns: matrix.columns,
    group: matrix.group,
    weights_at: weightsAt(part, matrix.tileWords),
    first_output: from,
    first_key: firstKey,
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

/** Struct Attend of parts/visible.wgsl. @param heads those whose keys lie in one part of the cache */
export function attendParams({ stage, layer }: Omit<AttentionPhase, "kind">, heads: HeadRange, s: ScratchLayout): StructValue {
  return {
    stage: STAGE_NUMBERS[stage],
    layer,
    stride: s.stride,
    query_at: s.query,
    out_at: s.attention,
    peaks_at: s.peaks,
    first_head: heads.from,
    first_key_head: heads.keysFrom,
  };
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
