/**
 * Which tensors a model's config asks for: their names in the engine and in the family's files, and their shapes. Not here:
 * reading them (checkpoint.ts).
 */
import type { ModelConfig } from "./config.ts";
import { FAMILIES, type TensorName } from "./families/index.ts";
import { layersOf, STAGES, type Stage } from "./stage.ts";

/** A weight that a model must have: its names, its shape and what it is for. */
export interface WeightSpec {
  /** What the engine calls it: the same in all families. */
  readonly name: string;
  /** What the family's files call it. */
  readonly file: string;
  /** Tensors of published files whose rows, one below the other, are this matrix; a file of our own holds it whole. */
  readonly parts?: readonly Part[];
  /** A matrix multiplies activations and may be quantised; a vector never is. */
  readonly kind: "matrix" | "vector";
  /** matrix: [rows, columns], y = x W^T; vector: its own shape. */
  readonly shape: readonly number[];
}

export interface Part {
  readonly file: string;
  readonly rows: number;
}

/** Names of the tensors outside the blocks. */
export const EMBEDDING = "transformer.wte.weight";
export const ADAPTER = "transformer.adapter.weight";
export const FINAL_NORM = "transformer.ln_f.weight";
export const HEAD = "lm_head.weight";
/** The exit gate, a row of weights and its bias. */
export const GATE = { weight: "transformer.exit_gate.weight", bias: "transformer.exit_gate.bias" } as const;

/** What the names of a block's tensors begin with. */
export function blockPrefix(stage: Stage, layer: number): string {
  return `transformer.${stage === "core" ? "core_block" : stage}.${layer}`;
}

/** Every tensor that a model of this config must have, in published order. */
export function weightSpecs(config: ModelConfig): WeightSpec[] {
  const { width: E, vocabSize: V, recurrence } = config;
  const { tensors } = FAMILIES[config.family];
  const specs: WeightSpec[] = [{ name: EMBEDDING, file: tensors.embedding, kind: "matrix", shape: [V, E] }];
  if (recurrence.injection === "adapter") specs.push({ name: ADAPTER, file: tensors.adapter!, kind: "matrix", shape: [E, 2 * E] });
  specs.push({ name: FINAL_NORM, file: tensors.finalNorm, kind: "vector", shape: [E] });
  if (!config.tiedHead) specs.push({ name: HEAD, file: tensors.head, kind: "matrix", shape: [V, E] });
  for (const stage of STAGES) for (let layer = 0; layer < layersOf(config, stage); layer++) specs.push(...blockSpecs(config, stage, layer));
  if (recurrence.exitGate)
    specs.push(
      { name: GATE.weight, file: tensors.gateWeight!, kind: "vector", shape: [1, E] },
      { name: GATE.bias, file: tensors.gateBias!, kind: "vector", shape: [1] },
    );
  return specs;
}

function blockSpecs(config: ModelConfig, stage: Stage, layer: number): WeightSpec[] {
  const { width: E, heads: H, kvHeads: K, headDim: d, mlpWidth: F, block } = config;
  const { tensors } = FAMILIES[config.family];
  const [prefix, published] = [blockPrefix(stage, layer), `${tensors.blocks[stage]}.${layer}`];
  const vector = (name: string, shape: readonly number[], own = name): WeightSpec => ({
    name: `${prefix}.${name}`,
    file: `${published}.${own}`,
    kind: "vector",
    shape,
  });
  const matrix = (name: string, columns: number, rows: readonly number[], own: TensorName): WeightSpec => ({
    name: `${prefix}.${name}`,
    file: `${published}.${typeof own === "string" ? own : own.joined}`,
    kind: "matrix",
    shape: [rows.reduce((a, b) => a + b), columns],
    ...(typeof own !== "string" && { parts: own.parts.map((part, i) => ({ file: `${published}.${part}`, rows: rows[i]! })) }),
  });
  const specs = Array.from({ length: 2 * block.norms.length }, (_, n) => vector(`norm_${n + 1}.weight`, [E], tensors.norms[n]));
  specs.push(matrix("attn.Wqkv.weight", E, [H * d, K * d, K * d], tensors.qkv));
  if (config.qkBias) specs.push(vector("attn.qk_bias", [2, 1, H, d]));
  if (block.qkNorm) specs.push(vector("attn.q_norm.weight", [H * d]), vector("attn.k_norm.weight", [K * d]));
  specs.push(
    matrix("attn.proj.weight", H * d, [E], tensors.attentionOut),
    matrix("mlp.fc.weight", E, [F, F], tensors.fc),
    matrix("mlp.proj.weight", F, [E], tensors.mlpOut),
  );
  return specs;
}
