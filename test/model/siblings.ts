/**
 * What tells the siblings of Huginn: tensor names of retrofitted checkpoints, the config of an Ouro.
 */

export const PRE_NORM = ["transformer.prelude.0.norm_1.weight", "lm_head.weight"];
export const OUTPUT_NORM = [...PRE_NORM, "transformer.prelude.0.attn.q_norm.weight"];

/** The smallest Ouro. */
export const OURO = {
  model_type: "ouro",
  hidden_size: 32,
  num_attention_heads: 2,
  num_hidden_layers: 2,
  head_dim: 24,
  intermediate_size: 64,
  vocab_size: 24,
  max_position_embeddings: 64,
  rope_theta: 10000,
  total_ut_steps: 3,
  tie_word_embeddings: false,
};
