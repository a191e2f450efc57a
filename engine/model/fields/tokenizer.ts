/**
 * The fields of tokenizer_config.json and special_tokens_map.json, as transformers writes them; tokenizer.json itself is
 * read whole.
 */
import { words, type FieldList, type Json, type Kind } from "./field.ts";
import { flag, object } from "./kinds.ts";

/** A token is its text, or an object with the text as content; "" is none. */
const token: Kind<string> = {
  expected: "a token's text, or an object with its content",
  parse: textOf,
};

/** A list of tokens, or an object of names to tokens. */
const tokens: Kind<readonly string[]> = {
  expected: "a list of tokens",
  parse(value) {
    if (typeof value !== "object" || value === null) return undefined;
    const texts = Object.values(value).map(textOf);
    return texts.every((text) => text !== undefined) ? texts.filter((text) => text !== "") : undefined;
  },
};

function textOf(value: unknown): string | undefined {
  const text = typeof value === "object" && value !== null ? (value as Json)["content"] : value;
  return typeof text === "string" ? text : undefined;
}

/** A text, or a list of named ones; the template's own reader checks it. */
const template: Kind<unknown> = { expected: "a template", parse: (value) => value };

/** Fields of named tokens, which both files may have. */
const TOKENS = {
  bos_token: { kind: token },
  eos_token: { kind: token },
  unk_token: { kind: token },
  sep_token: { kind: token },
  pad_token: { kind: token },
  cls_token: { kind: token },
  mask_token: { kind: token },
  additional_special_tokens: { kind: tokens },
  extra_special_tokens: { kind: tokens },
} as const;

const READ = {
  ...TOKENS,
  added_tokens_decoder: { kind: object },
  add_bos_token: { kind: flag },
  chat_template: { kind: template },
} as const;

export const TOKENIZER: FieldList<typeof READ> = {
  file: "tokenizer_config.json",
  code: "invalid_tokenizer",
  read: READ,
  refused: [],
  ignored: [
    {
      names: words(`
        tokenizer_class tokenizer_file fast_tokenizer_files auto_map processor_class name_or_path special_tokens_map_file
        backend is_local use_fast from_slow tokenizer_type transformers_version added_tokens_file chat_template_file
      `),
    },
    {
      names: words(`
        add_prefix_space prefix_space trim_offsets do_lower_case lowercase keep_accents strip_accents remove_space
        sp_model_kwargs vocab_file merges_file vocab_size errors legacy split_special_tokens unk_id
      `),
    },
    { names: ["add_eos_token"], silent: [false] },
    {
      names: ["clean_up_tokenization_spaces", "spaces_between_special_tokens"],
    },
    {
      names: words(`
        model_max_length max_length max_len padding padding_side truncation truncation_side truncation_strategy stride
        pad_to_multiple_of pad_token_type_id model_input_names return_token_type_ids
      `),
    },
    {
      names: words(`use_default_system_prompt response_schema tool_parser_type default_chat_template model_specific_special_tokens`),
    },
  ],
};

/** Fields of special_tokens_map.json, read where tokenizer_config.json does not say. */
export const SPECIAL_TOKENS_MAP: FieldList<typeof TOKENS> = {
  file: "special_tokens_map.json",
  code: "invalid_tokenizer",
  read: TOKENS,
  refused: [],
  ignored: [],
};
