/**
 * The fields of config.json, as the family's own files and transformers write them. What each is read as is told in
 * docs/field-notes.ts, for the page alone.
 */
import { partsOf, words, type Exception, type FieldList } from "./field.ts";
import { flag, notNegative, object, oneOf, padding, positive, tokenId, tokenIds, whole } from "./kinds.ts";
import { mustKnow } from "./mathematics.ts";
import { ROPE } from "./rope.ts";

/** Largest values of a config: larger ones are not models but mistakes, and these keep every size product far below 2^53. */
export const LARGEST = { width: 65536, layers: 1024, vocab: 1 << 22, context: 1 << 24, iterations: 65536 } as const;

const layers = whole(0, LARGEST.layers);
const heads = whole(1, LARGEST.width);

const READ = {
  n_embd: { kind: whole(1, LARGEST.width) },
  hidden_size: { kind: whole(1, LARGEST.width) },
  n_heads: { kind: heads },
  num_attention_heads: { kind: heads },
  num_key_value_heads: { kind: heads },
  head_dim: { kind: whole(2, LARGEST.width) },
  intermediate_size: { kind: whole(1, LARGEST.width * 8) },
  n_layers_in_prelude: { kind: layers },
  n_layers_in_recurrent_block: { kind: whole(1, LARGEST.layers) },
  n_layers_in_coda: { kind: layers },
  vocab_size: { kind: whole(2, LARGEST.vocab) },
  block_size: { kind: whole(1, LARGEST.context) },
  max_position_embeddings: { kind: whole(1, LARGEST.context) },
  rope_base: { kind: positive },
  rope_theta: { kind: positive },
  rope_scaling: { kind: object },
  ...partsOf("rope_scaling", ROPE),
  rope_parameters: { kind: object },
  ...partsOf("rope_parameters", ROPE),
  norm_eps: { kind: positive },
  rms_norm_eps: { kind: positive },
  qk_bias: { kind: flag },
  tie_embeddings: { kind: flag },
  tie_word_embeddings: { kind: flag },
  mean_recurrence: { kind: whole(1, LARGEST.iterations) },
  "init_values.embed_scale": { kind: positive },
  "init_values.std": { kind: positive },
  initial_state_mode: { kind: oneOf("random", "embed-init", "skip-adapter") },
  num_hidden_layers: { kind: whole(1, LARGEST.layers) },
  total_ut_steps: { kind: whole(1, LARGEST.iterations) },
  early_exit_threshold: { kind: notNegative },
  early_exit_step: { kind: whole(0, LARGEST.iterations - 1) },
  fathom_family: { kind: oneOf("huginn", "retrofitted-llama", "retrofitted-olmo", "ouro") },
  bos_token_id: { kind: tokenId },
  eos_token_id: { kind: tokenIds },
  pad_token_id: { kind: padding },
} as const;

/** The family's own choices: the one value for which the formulas hold. */
const FAMILY: Readonly<Record<string, readonly unknown[]>> = {
  model_type: ["huginn_raven", "ouro"],
  architecture_class_name: ["RecurrentGPT"],
  block_class_name: ["SandwichBlock", "TransformerPreNormBlock"],
  norm_class_name: ["RMSNorm_llama", "RMSNorm"],
  mlp_class_name: ["GatedMLP"],
  nonlin_name: ["SiLU"],
  injection_type: ["linear"],
  state_init: ["like-init"],
};

const WINDOW_IS_OFF: Exception = {
  note: "`use_sliding_window` is false",
  holds: ({ use_sliding_window: isOn }) => isOn === false,
};

const ALL_ATTEND_TO_ALL: Exception = {
  note: 'every entry is `"full_attention"`',
  holds: ({ layer_types: types }) => Array.isArray(types) && types.every((type) => type === "full_attention"),
};

const REFUSED: FieldList["refused"] = [
  ...Object.entries(FAMILY).map(([name, neutral]) => ({ names: [name], neutral, note: "another architecture" })),
  {
    names: ["hidden_act", "hidden_activation", "activation_function", "activation"],
    neutral: ["silu", "swish", "SiLU"],
    note: "another activation",
  },
  {
    names: words(`
      bias attention_bias mlp_bias use_bias qkv_bias add_qkv_bias add_bias_linear use_qkv_bias attention_out_bias
      o_proj_bias lm_head_bias head_bias norm_bias
    `),
    neutral: [false, 0],
    note: "biases that this family does not have",
  },
  {
    names: words(`partial_rotary_factor rotary_pct rotary_percent rope_pct rope_percentage`),
    neutral: [1],
    note: "rotary position on a part of each head",
  },
  {
    names: words(`rotary_dim rotary_emb_base rope_local_base_freq rope_ratio rope_factor rope_type`),
    neutral: [],
    note: "another rotary position",
  },
  {
    names: words(`no_rope_layers no_rope_layer_interval nope_layer_interval use_nope alibi use_alibi use_mrope`),
    neutral: [false, 0, []],
    note: "another rotary position",
  },
  { names: ["position_embedding_type"], neutral: ["rope", "rotary"], note: "another position embedding" },
  { names: ["original_max_position_embeddings"], neutral: [], note: "scaled rotary position; llama3's belongs into `rope_scaling`" },
  {
    names: words(`sliding_window window_size attention_window attention_window_size local_attention attention_chunk_size`),
    neutral: [false, 0],
    note: "attention that does not see the whole context",
    except: WINDOW_IS_OFF,
  },
  { names: ["layer_types"], neutral: [], note: "attention that does not see the whole context", except: ALL_ATTEND_TO_ALL },
  { names: ["use_sliding_window"], neutral: [false], note: "attention that does not see the whole context" },
  {
    names: ["sliding_window_pattern", "interleaved_sliding_window", "global_attn_every_n_layers"],
    neutral: [0, 1],
    note: "attention that does not see the whole context",
    except: WINDOW_IS_OFF,
  },
  {
    names: words(`use_bidirectional_attention bidirectional is_encoder_decoder add_cross_attention prefix_lm`),
    neutral: [false],
    note: "attention that is not causal",
  },
  { names: ["is_causal", "causal", "causal_attention"], neutral: [true], note: "attention that is not causal" },
  {
    names: words(
      `use_rope use_rotary use_rotary_embeddings gated gated_mlp use_gated_mlp swiglu use_swiglu use_rms_norm use_rmsnorm rms_norm final_norm`,
    ),
    neutral: [true],
    note: "a family without rotary position, gated MLPs, RMS norms or a last norm",
  },
  {
    names: words(`
      qk_norm use_qk_norm qk_layernorm use_qk_layernorm use_qk_rms_norm qk_rmsnorm attention_qk_norm key_norm
      query_norm
    `),
    neutral: [false],
    note: "norms on queries and keys",
  },
  {
    names: words(`
      clip_qkv attn_clip query_pre_attn_scalar attention_multiplier attn_scale attention_scale softmax_scale
      floor_scale
    `),
    neutral: [],
    note: "another scale of attention",
  },
  {
    names: words(`attn_temperature_tuning scale_attn_by_inverse_layer_idx attention_sink attention_sinks use_attention_sinks`),
    neutral: [false, 0],
    note: "another scale of attention",
  },
  { names: ["scale_attn_weights"], neutral: [true], note: "another scale of attention" },
  {
    names: ["attn_logit_softcapping", "attn_logit_softcap", "attn_soft_cap", "attention_softcap"],
    neutral: [false],
    note: "capped attention scores",
  },
  {
    names: words(`final_logit_softcapping final_logit_softcap logit_softcap logits_soft_cap output_softcap`),
    neutral: [false],
    note: "capped logits",
  },
  {
    names: words(`logit_scale logits_scaling logits_scale output_multiplier_scale lm_head_multiplier output_multiplier`),
    neutral: [1],
    note: "scaled logits",
  },
  { names: ["dim_model_base"], neutral: [], note: "scaled logits" },
  {
    names: words(`embed_scale embedding_multiplier embedding_multiplier_scale embedding_scale scale_emb emb_scale`),
    neutral: [1],
    note: "an embedding scale outside of `init_values`",
  },
  {
    names: words(`scale_embedding scale_embeddings normalize_embedding embedding_norm use_embedding_norm word_embed_proj_dim`),
    neutral: [false],
    note: "other embeddings",
  },
  { names: ["residual_multiplier", "residual_scale", "scale_depth", "depth_scale"], neutral: [1], note: "a scaled residual" },
  {
    names: words(`
      use_parallel_residual parallel_attn parallel_residual use_post_norm use_pre_norm post_norm pre_norm norm_after
      apply_residual_connection_post_layernorm
    `),
    neutral: [false],
    note: "blocks put together in another way",
  },
  {
    names: words(`num_local_experts num_experts n_routed_experts moe_num_experts num_experts_per_tok`),
    neutral: [0],
    note: "experts",
  },
  { names: ["pruned_heads"], neutral: [{}], note: "missing heads" },
  { names: ["test_time_noise"], neutral: [0], note: "noise on the state" },
  {
    names: ["quantization_config", "compression_config", "quantization"],
    neutral: [{}],
    note: "weights packed by another program; take the f32, f16 or bf16 checkpoint",
  },
];

const IGNORED: FieldList["ignored"] = [
  { names: ["n_layers"] },
  { names: ["padded_vocab_size", "padding_multiple"] },
  {
    names: words(`
      init_strategy init_orthogonal init_values initializer_range mean_backprop_depth sampling_scheme
      effective_expected_depth activation_checkpoint_impl gradient_checkpointing
    `),
  },
  {
    names: words(`
      attention_dropout hidden_dropout hidden_dropout_prob dropout embd_pdrop resid_pdrop attn_pdrop embedding_dropout
      residual_dropout attention_probs_dropout_prob classifier_dropout activation_dropout
    `),
  },
  { names: ["test_time_noise_type"] },
  { names: ["max_window_layers"] },
  { names: ["torch_dtype", "dtype", "use_bfloat16"] },
  {
    names: words(`
      architectures auto_map model_class_name name hf_config transformers_version tokenizer_class prefix
      finetuning_task task_specific_params problem_type id2label label2id num_labels return_dict output_hidden_states
      output_attentions torchscript tf_legacy_loss is_decoder tie_encoder_decoder cross_attention_hidden_size
      decoder_start_token_id sep_token_id chunk_size_feed_forward pretraining_tp use_cache attn_implementation
      unsloth_version unsloth_fixed
    `),
  },
  {
    names: words(`
      max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k
      top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size
      bad_words_ids num_return_sequences output_scores return_dict_in_generate forced_bos_token_id forced_eos_token_id
      remove_invalid_values exponential_decay_length_penalty suppress_tokens begin_suppress_tokens
    `),
  },
];

export const CONFIG: FieldList<typeof READ> = {
  file: "config.json",
  code: "invalid_config",
  read: READ,
  refused: REFUSED,
  ignored: IGNORED,
  mustKnow,
};
