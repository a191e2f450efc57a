/** The library's parts, put together here, against its own class Tokenizer. */
import { Tokenizer } from "@huggingface/tokenizers";
import { describe, expect, it } from "vitest";
import type { TokenizerSettings } from "../../../engine/model/text/special-tokens.ts";
import { readVocabulary } from "../../../engine/model/text/vocabulary.ts";

const SETTINGS: TokenizerSettings = { named: {}, additional: [], special: new Set(), addBos: undefined, chatTemplate: undefined };
const vocab = { "[UNK]": 0, a: 1, b: 2, ab: 3, "##b": 4, "b</w>": 5, "ab</w>": 6, "a</w>": 7 };
const pieces = { vocab, unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100 };
const merges = [["a", "b"]];
const scored = Object.keys(vocab).map((token, i) => [token, -i]);

const MODELS: Readonly<Record<string, object>> = {
  BPE: { type: "BPE", vocab, merges, unk_token: "[UNK]" },
  "BPE with ends of words": { type: "BPE", vocab, merges: [["a", "b</w>"]], unk_token: "[UNK]", end_of_word_suffix: "</w>" },
  WordPiece: { type: "WordPiece", ...pieces },
  Unigram: { type: "Unigram", vocab: scored, unk_id: 0 },
  WordLevel: { type: "WordLevel", vocab, unk_token: "[UNK]" },
  "BPE without its name": { ...pieces, merges },
  "WordPiece without its name": pieces,
  "Unigram without its name": { vocab: scored, unk_id: 0 },
};
const DECODERS: Readonly<Record<string, object | null>> = {
  "no decoder": null,
  "a decoder of words": { type: "WordPiece", prefix: "##", cleanup: false },
};

function file(model: object, decoder: object | null): Record<string, unknown> {
  const added = { id: 8, content: "<|end|>", special: true, normalized: false, single_word: false, lstrip: false, rstrip: false };
  const preTokenizer = { type: "WhitespaceSplit" };
  return { model, decoder, normalizer: { type: "Lowercase" }, pre_tokenizer: preTokenizer, post_processor: null, added_tokens: [added] };
}

describe("a tokenizer from the library's parts", () => {
  for (const [decoderName, decoder] of Object.entries(DECODERS))
    it.each(Object.entries(MODELS))(`gives what the library's own gives: %s, ${decoderName}`, (_, model) => {
      const json = file(model, decoder);
      const ours = readVocabulary(json, SETTINGS, new Set());
      const theirs = new Tokenizer(json as never, {});
      for (const text of ["ab a b", "A ab", "b"]) {
        const { ids } = theirs.encode(text, { add_special_tokens: false });
        expect(ours.encode({ text, own: text }), text).toEqual(ids);
        const ended = [...ids, 8];
        const options = { skip_special_tokens: true, clean_up_tokenization_spaces: false };
        expect(ours.decode(ended), text).toBe(theirs.decode(ended, options));
        expect(ours.tokenName(8)).toBe("<|end|>");
      }
    });

  it.each(["model", "decoder", "post_processor", "pre_tokenizer", "normalizer"])("names a part that the file lacks: %s", (part) => {
    const { [part]: _, ...json } = file(MODELS["BPE"]!, null);
    expect(() => readVocabulary(json, SETTINGS, new Set())).toThrow(`must contain a "${part}"`);
  });
});
