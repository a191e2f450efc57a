/**
 * What each field of config.json is read as, in markdown, for docs/model-format.md: kept out of what is served.
 */
import type { CONFIG } from "../engine/model/fields/config.ts";

type Read = keyof (typeof CONFIG)["read"];

export const CONFIG_NOTES: Readonly<Record<Exclude<Read, `${string}.${string}`> | "init_values.embed_scale" | "init_values.std", string>> =
  {
    n_embd: "width",
    hidden_size: "the same as `n_embd`; refused where both differ",
    n_heads: "attention heads",
    num_attention_heads: "the same as `n_heads`; refused where both differ",
    num_key_value_heads: "key/value heads, which divide the heads [the heads]",
    head_dim: "width of a head, even [`n_embd` / heads]; heads times it is `n_embd`, but in an Ouro",
    intermediate_size: "inner width of the MLP",
    n_layers_in_prelude: "blocks before the recurrence",
    n_layers_in_recurrent_block: "blocks of the core",
    n_layers_in_coda: "blocks after the recurrence",
    vocab_size: "rows of the embedding",
    block_size: "longest context; in retrofitted checkpoints only where `max_position_embeddings` is absent",
    max_position_embeddings: "longest context of a retrofitted checkpoint; in Huginn's own the smaller of both counts",
    rope_base: "rotary base [50000]; a left-over in retrofitted checkpoints, and ignored there",
    rope_theta: "rotary base; must be there in retrofitted checkpoints; refused where it differs from `rope_base` in Huginn's own",
    rope_scaling: "rotary scaling and base; a part that is not listed here is refused",
    rope_parameters: "the same since transformers 5; refused where both are there and differ",
    norm_eps: "epsilon of all norms [1e-6]",
    rms_norm_eps: "the same as `norm_eps`; refused where both differ",
    qk_bias: "biases on queries and keys [true in Huginn's own, false in retrofitted checkpoints]",
    tie_embeddings: "the head is the embedding [true]; a retrofitted checkpoint that has a head uses it",
    tie_word_embeddings: "the same as `tie_embeddings`; refused where both differ, unless the checkpoint has a head to tell",
    mean_recurrence: "iterations where nobody says how many [32]",
    "init_values.embed_scale":
      "factor on embeddings of a retrofitted checkpoint [1]; Huginn's is sqrt(`n_embd`), and another value is refused",
    "init_values.std":
      "deviation of a random initial state, before `embed_scale`; Huginn's is sqrt(2 / (5 `n_embd`)), and another value is refused",
    initial_state_mode: 'what a retrofitted OLMo-2\'s state begins as [random]; refused elsewhere unless `"random"`',
    num_hidden_layers: "layers of an Ouro; elsewhere the sum of the three counts of blocks, and ignored",
    total_ut_steps: "loops of an Ouro where nobody says how many [4]; refused elsewhere",
    early_exit_threshold: "an Ouro's threshold of the exit rule `gate`, 1 or more: never [1]; refused elsewhere",
    early_exit_step: "the loop, counted from 0, that an Ouro always exits at [none]; refused elsewhere",
    fathom_family: "written by `fathom export`, whose folders have no tensors to tell Huginn's blocks from retrofitted ones",
    bos_token_id: "begins every text; refused outside the vocabulary",
    eos_token_id: "one id or a list: stop tokens, beside those of generation_config.json; refused outside the vocabulary",
    pad_token_id:
      "a template knows it as `pad_token`; nothing is padded; refused outside the vocabulary, where it betrays another model's file (-1: none)",
  };
