/**
 * Ids and texts against those of Hugging Face's own tokenizers: reference.json, written by reference.py.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { guard, revealApart } from "../../../engine/model/text/guarded-text.ts";
import type { TokenizerSettings } from "../../../engine/model/text/special-tokens.ts";
import { TextStream } from "../../../engine/model/text/text-stream.ts";
import { readVocabulary, type Vocabulary } from "../../../engine/model/text/vocabulary.ts";

const reference = JSON.parse(readFileSync(new URL("reference.json", import.meta.url), "utf8")) as {
  readonly tokenizers: Readonly<Record<string, Readonly<Record<string, any>>>>;
  readonly encode: readonly { readonly tokenizer: string; readonly text: string; readonly ids: readonly number[] }[];
  readonly decode: readonly { readonly bytes: string; readonly ids: readonly number[]; readonly text: string }[];
};
const NO_SETTINGS: TokenizerSettings = { named: {}, additional: [], special: new Set(), addBos: undefined, chatTemplate: undefined };

const vocabularies: Record<string, Vocabulary> = {};
beforeAll(() => {
  for (const [name, json] of Object.entries(reference.tokenizers)) vocabularies[name] = readVocabulary(json, NO_SETTINGS, new Set());
});

describe("a tokenizer", () => {
  for (const name of Object.keys(reference.tokenizers))
    it(`gives the reference's ids: ${name}`, () => {
      const cases = reference.encode.filter(({ tokenizer }) => tokenizer === name);
      const ids = cases.map(({ text }) => vocabularies[name]!.encode({ text, own: text }));
      expect(cases.map(({ text }, i) => [text, ids[i]])).toEqual(cases.map(({ text, ids: expected }) => [text, expected]));
      expect(cases.length).toBeGreaterThan(10);
    });

  it("gives the same ids for a caller's text that spells no control token", () => {
    for (const { tokenizer, text, ids } of reference.encode)
      if (!text.includes("<|end|>"))
        expect(vocabularies[tokenizer]!.encode(revealApart(guard(text))), `${tokenizer}: ${text}`).toEqual(ids);
  });

  it("turns runs of bytes into the reference's text: U+FEFF kept, one U+FFFD for each byte of a bad run", () => {
    const texts = reference.decode.map(({ ids }) => vocabularies["fallback"]!.decode(ids));
    expect(texts).toEqual(reference.decode.map(({ text }) => text));
  });

  it("streams the same text", () => {
    for (const { bytes, ids, text } of reference.decode) {
      if (bytes === "good and bad") continue; // see below
      const stream = new TextStream(vocabularies["fallback"]!);
      const pieces = [...ids.map((id) => stream.push(id)), stream.flush()];
      expect(pieces.join(""), JSON.stringify([bytes, ids])).toBe(text);
    }
  });

  it("does not take back characters that it has sent when a later byte spoils their run", () => {
    const vocabulary = vocabularies["fallback"]!;
    const ids = ["▁a", "<0xC3>", "<0xA9>", "<0xFF>", "▁wo"].map((token) => vocabulary.idOf(token)!);
    expect(vocabulary.decode(ids)).toBe("a\uFFFD\uFFFD\uFFFD wo");
    const stream = new TextStream(vocabulary);
    expect(ids.map((id) => stream.push(id)).join("") + stream.flush()).toBe("aé\uFFFD wo");
  });

  it("leaves out numbers for which it has no token, as a model's vocabulary may be the larger", () => {
    for (const vocabulary of Object.values(vocabularies)) {
      const known = vocabulary.idOf("a")!;
      expect(vocabulary.decode([known, 60_000, known])).toBe("aa");
      expect(vocabulary.decode([60_000])).toBe("");
      expect(vocabulary.tokenName(60_000)).toBe("");
    }
  });

  it("keeps the space of a word that follows U+FEFF in a stream", () => {
    const vocabulary = vocabularies["fallback"]!;
    const ids = vocabulary.encode({ text: "a\uFEFF wo", own: "" });
    const stream = new TextStream(vocabulary);
    expect(ids.map((id) => stream.push(id)).join("") + stream.flush()).toBe("a\uFEFF wo");
  });
});
