/**
 * What each field of a model folder's JSON files is read as, and why others are ignored, in markdown, for
 * docs/model-format.md: kept out of what is served.
 */
import type { CONFIG } from "../engine/model/fields/config.ts";
import type { GENERATION } from "../engine/model/fields/generation.ts";
import type { ROPE } from "../engine/model/fields/rope.ts";
import type { TOKENIZER } from "../engine/model/fields/tokenizer.ts";

type Read = keyof (typeof CONFIG)["read"];

const CONFIG_NOTES: Readonly<Record<Exclude<Read, `${string}.${string}`> | "init_values.embed_scale" | "init_values.std", string>> = {
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

const ROPE_NOTES: Readonly<Record<keyof typeof ROPE, string>> = {
  rope_type: '`"default"` or `"llama3"`; any other (yarn, linear, dynamic, longrope, ...) is refused',
  type: "older name of `rope_type`",
  rope_theta: "rotary base; refused where it differs from one named elsewhere",
  factor: "of llama3",
  low_freq_factor: "of llama3",
  high_freq_factor: "of llama3, above `low_freq_factor`",
  original_max_position_embeddings: "of llama3, in tokens",
  partial_rotary_factor: "rotary position on a part of each head is refused",
};

const GENERATION_NOTES: Readonly<Record<keyof (typeof GENERATION)["read"], string>> = {
  eos_token_id: "one id or a list: stop tokens, beside those of config.json; refused outside the vocabulary",
  bos_token_id: "begins every text where config.json names no `bos_token_id`; refused outside the vocabulary",
  pad_token_id: "as in config.json",
};

const CONTROL_TOKEN = "control token; a template knows it by this name";

const TOKENIZER_NOTES: Readonly<Record<keyof (typeof TOKENIZER)["read"], string>> = {
  bos_token: "begins every prompt, before config.json's `bos_token_id`; null: nothing does",
  eos_token: "stop token, beside those of config.json and generation_config.json",
  unk_token: CONTROL_TOKEN,
  sep_token: CONTROL_TOKEN,
  pad_token: CONTROL_TOKEN,
  cls_token: CONTROL_TOKEN,
  mask_token: CONTROL_TOKEN,
  additional_special_tokens: "further control tokens",
  extra_special_tokens: "the same since transformers 5",
  added_tokens_decoder: "which added tokens are control tokens (`special`)",
  add_bos_token: "false: no prompt begins with bos",
  chat_template: 'where there is no chat_template.jinja: a text, or a list of named ones of which `"default"` counts',
};

/** What fields are read as, by file and field. */
export const READ_NOTES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "config.json": { ...CONFIG_NOTES, ...partsOf("rope_scaling", ROPE_NOTES), ...partsOf("rope_parameters", ROPE_NOTES) },
  "generation_config.json": GENERATION_NOTES,
  "tokenizer_config.json": TOKENIZER_NOTES,
  "special_tokens_map.json": TOKENIZER_NOTES,
};

/** Why fields change nothing here, by file and the first of the fields that are listed together. */
export const IGNORED_NOTES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "config.json": {
    n_layers: "the sum of the three counts of blocks; the tensors are counted",
    padded_vocab_size: "the embedding's shape is checked against `vocab_size`",
    init_strategy: "training only (of `init_values` all but the parts above)",
    attention_dropout: "training only",
    test_time_noise_type: "noise is refused",
    max_window_layers: "windows are refused",
    torch_dtype: "every tensor says its own type; states are f32",
    architectures: "say nothing of the mathematics",
    max_length: "older place of sampling settings; a request says how to sample",
  },
  "generation_config.json": {
    do_sample: "a request says how to sample, and is greedy where it does not: an answer must not change with a file",
    max_length: "`maxCompletionTokens` of the card, and the request",
    repetition_penalty: "not offered; another value than 1 is told when the model is loaded",
    no_repeat_ngram_size: "not offered; another value than 0 is told",
    stop_strings: "not offered; told where set. A request may give `stop`",
    use_cache: "about the library that wrote the file",
  },
  "tokenizer_config.json": {
    tokenizer_class: "about the library that wrote the file",
    add_prefix_space: "tokenizer.json says how text is cut",
    add_eos_token: "a prompt never ends with eos; told where true",
    clean_up_tokenization_spaces: "text is what the tokens say, without later changes to its spaces",
    model_max_length: "nothing is padded or cut; the context is config.json's",
    use_default_system_prompt: "the template says how messages are put",
  },
};

/** The notes of an object's parts, under their dotted names. */
function partsOf(parent: string, notes: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(notes).map(([part, note]) => [`${parent}.${part}`, note]));
}
