/**
 * Huginn (arXiv 2502.05171): sandwich blocks, whose residual stream is normalised after every half.
 */
import type { Family, TensorNames } from "./family.ts";

/** Retrofitted checkpoints are of the same class, and name their tensors alike. */
const RAVEN_TENSORS: TensorNames = {
  embedding: "transformer.wte.weight",
  adapter: "transformer.adapter.weight",
  finalNorm: "transformer.ln_f.weight",
  head: "lm_head.weight",
  blocks: { prelude: "transformer.prelude", core: "transformer.core_block", coda: "transformer.coda" },
  norms: ["norm_1.weight", "norm_2.weight", "norm_3.weight", "norm_4.weight"],
  qkv: "attn.Wqkv.weight",
  attentionOut: "attn.proj.weight",
  fc: "mlp.fc.weight",
  mlpOut: "mlp.proj.weight",
};

export const HUGINN: Family = {
  name: "huginn",
  block: { norms: ["input", "sum"], qkNorm: false, rotary: "interleaved" },
  recurrence: { injection: "adapter", start: "random", skipsAdapter: false, finalNorm: ["coda", "head"], exitGate: false },
  tensors: RAVEN_TENSORS,
  starts: ["random"],
  layers: { prelude: "n_layers_in_prelude", core: "n_layers_in_recurrent_block", coda: "n_layers_in_coda" },
  iterations: ["mean_recurrence", 32],
  foreign: ["total_ut_steps", "early_exit_threshold", "early_exit_step"],
  endTexts: [],
};
