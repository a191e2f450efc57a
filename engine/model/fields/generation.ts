/**
 * The fields of generation_config.json, as transformers writes it.
 */
import { words, type FieldList } from "./field.ts";
import { padding, tokenId, tokenIds } from "./kinds.ts";

const READ = {
  eos_token_id: { kind: tokenIds },
  bos_token_id: { kind: tokenId },
  pad_token_id: { kind: padding },
} as const;

export const GENERATION: FieldList<typeof READ> = {
  file: "generation_config.json",
  code: "invalid_config",
  read: READ,
  refused: [],
  ignored: [
    {
      names: words(`do_sample temperature top_k top_p min_p typical_p epsilon_cutoff eta_cutoff top_h`),
    },
    {
      names: words(`max_length max_new_tokens min_length min_new_tokens max_time early_stopping`),
    },
    {
      names: words(`
      repetition_penalty encoder_repetition_penalty length_penalty guidance_scale num_beams num_beam_groups
      num_return_sequences
    `),
      silent: [1],
    },
    {
      names: ["no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "diversity_penalty", "penalty_alpha"],
      silent: [0],
    },
    {
      names: words(`
      stop_strings bad_words_ids suppress_tokens begin_suppress_tokens forced_bos_token_id forced_eos_token_id
      forced_decoder_ids sequence_bias exponential_decay_length_penalty constraints force_words_ids
      watermarking_config
    `),
      silent: [[], {}],
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
    },
  ],
};
