import { describe, expect, it } from "vitest";
import { byteTokenizer, codecOf } from "./folders.ts";

const replace = (from: object, content: string): object => ({ type: "Replace", pattern: from, content });
const doubling = Array.from({ length: 40 }, () => replace({ String: "a" }, "aa"));
const byteLevel = { type: "ByteLevel", add_prefix_space: false, use_regex: false };

const UNBOUNDED: Readonly<Record<string, object>> = {
  "a normaliser that doubles a text forty times": { normalizer: { type: "Sequence", normalizers: doubling } },
  "a decoder that doubles a text forty times": { decoder: { type: "Sequence", decoders: [...doubling, { type: "ByteLevel" }] } },
  "a normaliser that puts a page between all letters": { normalizer: replace({ String: "" }, "x".repeat(100_000)) },
  "the same by a pattern": { normalizer: replace({ Regex: "a*" }, "x".repeat(100_000)) },
  "pieces of length 0": { pre_tokenizer: { type: "FixedLength", length: 0 } },
  "pieces of length -1, in a sequence": {
    pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "FixedLength", length: -1 }, byteLevel] },
  },
  "a space that becomes a page": { pre_tokenizer: { type: "Metaspace", replacement: "▁".repeat(100_000), prepend_scheme: "never" } },
  "thousands of steps": { pre_tokenizer: { type: "Sequence", pretokenizers: Array.from({ length: 5000 }, () => byteLevel) } },
  "words without end": {
    model: { type: "WordPiece", unk_token: "x", continuing_subword_prefix: "##", max_input_chars_per_word: 1e9, vocab: { x: 0 } },
  },
};

describe("a tokenizer that does not end well", () => {
  for (const [name, parts] of Object.entries(UNBOUNDED))
    it(`is refused at load: ${name}`, async () => {
      await expect(codecOf({ tokenizer: byteTokenizer([], parts) })).rejects.toMatchObject({ code: "invalid_tokenizer" });
    });

  it("is not one that replaces within reason", async () => {
    const normalizer = {
      type: "Sequence",
      normalizers: [replace({ String: " " }, "▁"), replace({ Regex: " {2,}" }, " "), replace({ String: "…" }, "...")],
    };
    const codec = await codecOf({ tokenizer: byteTokenizer([], { normalizer }) });
    expect(codec.decode(codec.encode("a b…"))).toBe("a▁b...");
  });
});
