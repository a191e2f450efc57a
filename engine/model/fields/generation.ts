/**
 * The fields of generation_config.json, as transformers writes it.
 */
import { words, type FieldList } from "./field.ts";
import { padding, tokenId, tokenIds } from "./kinds.ts";

const READ = {
  eos_token_id: { kind: tokenIds, note: "one id or a list: stop tokens, beside those of config.json; refused outside the vocabulary" },
  bos_token_id: { kind: tokenId, note: "begins every text where config.json names no `bos_token_id`; refused outside the vocabulary" },
  pad_token_id: { kind: padding, note: "as in config.json" },
} as const;

export const GENERATION: FieldList<typeof READ> = {
  file: "generation_config.json",
  code: "invalid_config",
  read: READ,
  refused: [],
  ignored: [
    {
      names: words(`do_sample temperature top_k top_p min_p typical_p epsilon_cutoff eta_cutoff top_h`),
      note: "a request says how to sample, and is greedy where it does not: an answer must not change with a file",
    },
    {
      names: words(`max_length max_new_tokens min_length min_new_tokens max_time early_stopping`),
      note: "`maxCompletionTokens` of the card, and the request",
    },
    {
      names: words(`
      repetition_penalty encoder_repetition_penalty length_penalty guidance_scale num_beams num_beam_groups
      num_return_sequences
    `),
      silent: [1],
      note: "not offered; another value than 1 is told when the model is loaded",
    },
    {
      names: ["no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "diversity_penalty", "penalty_alpha"],
      silent: [0],
      note: "not offered; another value than 0 is told",
    },
    {
      names: words(`
      stop_strings bad_words_ids suppress_tokens begin_suppress_tokens forced_bos_token_id forced_eos_token_id
      forced_decoder_ids sequence_bias exponential_decay_length_penalty constraints force_words_ids
      watermarking_config
    `),
      silent: [[], {}],
      note: "not offered; told where set. A request may give `stop`",
    },
    {
      names: words(`
      use_cache cache_implementation cache_config return_legacy_cache prefill_chunk_size output_attentions
      output_hidden_states output_scores output_logits return_dict_in_generate remove_invalid_values
      renormalize_logits token_healing low_memory disable_compile compile_config trust_remote_code
      decoder_start_token_id is_assistant num_assistant_tokens num_assistant_tokens_schedule
      assistant_confidence_threshold assistant_early_exit assistant_lookbehind target_lookbehind
      prompt_lookup_num_tokens max_matching_ngram_size dola_layers generation_kwargs transformers_version
      generation_mode
    `),
      note: "about the library that wrote the file",
    },
  ],
};
