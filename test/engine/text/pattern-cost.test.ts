import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { costOf } from "../../../engine/model/text/pattern-cost.ts";
import { byteTokenizer, codecOf } from "./folders.ts";

const LLAMA3 = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const PUBLISHED: Readonly<Record<string, string>> = {
  "GPT-2": String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  "Llama 3": LLAMA3,
  Qwen2: LLAMA3.replace("{1,3}", ""),
  o200k: String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  CLIP: String.raw`<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`,
  DeepSeek:
    String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_` +
    "`" +
    String.raw`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  "spaces of ALBERT": " {2,}",
  Han: "[一-龥぀-ゟ゠-ヿ]+",
  SuperBPE: String.raw` ?[^\s\d]+(?: [^\s\d]+)*|\d{1,3}|\s+`,
  Kimi: String.raw`[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
};

/** Each with a text on which it takes time without end. */
const EXPONENTIAL = ["(a+)+$", "(a*)*b", "(a|a)*b", "(a|ab)*c", "(?:a?)+b", "(a|aa)+$", String.raw`(\w|\d)+$`, "(?:a{1,30}){1,30}b", "((ab)*)*c", "(?:(?:a+))+b", String.raw`(?i:A|a)+$`, "a?".repeat(30) + "a".repeat(30), "(?:a|aa)".repeat(40), "([a-m]|[f-z])*!", "(?:(?:a|b)+,?)+;"]; // prettier-ignore

/** Whose alternatives share characters that nothing in them names: found by asking about every character. */
const HIDDEN_OVERLAPS = [
  String.raw`(?:[\u3043-\u3045]|[\u3044-\u3049])+$`,
  String.raw`(?:[\u0101-\u0103]|\p{Lu})+$`,
  String.raw`(?:\p{Script=Nko}|[\u0100-\u0fff])+$`,
  String.raw`(?:\d|[\u0660-\u0669])+$`, // \d is Unicode's in Hugging Face's patterns
  String.raw`(?:[\u{50000}-\u{50010}]|[\u{50008}-\u{50020}])+$`,
  String.raw`(?:[\ud800-\udbff]|[\udbff-\udc00])+$`,
];

describe("the patterns of a tokenizer", () => {
  for (const [name, pattern] of Object.entries(PUBLISHED))
    it(`are taken as published, for texts of any kind: ${name}`, () => {
      const cost = costOf(pattern);
      for (const character of ["a", "A", " ", "\n", "\r\n", "1", "中", "!", "\u0301", "'"]) cost.check(character.repeat(400_000));
    });

  it("of the shipped model and of byte-level pre-tokenisers are taken", () => {
    const json = JSON.parse(readFileSync(new URL("../../../models/nano/tokenizer.json", import.meta.url), "utf8"));
    const { Regex } = json.pre_tokenizer.pretokenizers[0].pattern;
    for (const character of ["a", " ", "\n", "1"]) costOf(Regex).check(character.repeat(400_000));
  });

  for (const pattern of EXPONENTIAL)
    it(`are refused at load where their time can grow exponentially: ${pattern}`, async () => {
      const split = { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
      const replace = { type: "Replace", pattern: { Regex: pattern }, content: "" };
      for (const parts of [
        { pre_tokenizer: split },
        { pre_tokenizer: { type: "Sequence", pretokenizers: [split] } },
        { normalizer: { type: "Sequence", normalizers: [replace] } },
        { decoder: { type: "Sequence", decoders: [replace, { type: "ByteLevel" }] } },
      ])
        await expect(codecOf({ tokenizer: byteTokenizer([], parts) })).rejects.toMatchObject({
          code: "invalid_tokenizer",
          message: expect.stringContaining("exponentially"),
        });
    });

  it("that repeat what can match a text in one way are taken, however it varies in length", () => {
    for (const pattern of [
      String.raw`\w+(?:-\w+)*`,
      String.raw`(?:\d{1,3}\.){3}\d{1,3}`,
      "(?:[A-Z][a-z]+)+",
      "(?:[^,]+,)*",
      String.raw`(?:\p{Emoji_Presentation}\u200d?)+`,
      "(?:(?:a+b)+c)+",
      "(?:.*\\n)+",
    ]) {
      const cost = costOf(pattern);
      expect(() => cost.check("ab-c 1.2,".repeat(20)), pattern).not.toThrow();
    }
  });

  it("that repeat what can match a text in two ways are refused, however it is hidden", () => {
    for (const pattern of [
      String.raw`(\w+\s?)+`,
      "(?:a?a)+b",
      "(?:x(?:a?)?)*y",
      "(?:x(?:a*|b*))*y",
      "(?:a*b*)*c",
      "(?:(?:ab)*)*c",
      "(?:ab?|b)+c",
      ...HIDDEN_OVERLAPS,
    ])
      expect(() => costOf(pattern), pattern).toThrow(/exponentially/);
  });

  it("that a repeat of definite parts makes are taken", () => {
    for (const pattern of [String.raw`\d{1,3}(?=(?:\d{3})*\b)`, "(?:ab|cd)+", "(?:abc)*x", "[a-z]{2,}(?:-[a-z])?"])
      expect(() => costOf(pattern), pattern).not.toThrow();
  });

  it("that take a power of a run's length are asked about the text's runs first", async () => {
    for (const [pattern, run] of [
      ["a*a*a*b", 300],
      ["a+b", 50_000],
      [String.raw`\s+$`, 50_000],
      [String.raw`\w+@\w+\.com`, 2000],
      ["a*a*$", 2000],
    ] as const) {
      const character = pattern.includes("s+") ? " " : "a";
      const split = { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
      const codec = await codecOf({
        tokenizer: byteTokenizer([], {
          pre_tokenizer: { type: "Sequence", pretokenizers: [split, { type: "ByteLevel", use_regex: false }] },
        }),
      });
      expect(() => codec.encode(`${character.repeat(run)}x`), pattern).toThrow(expect.objectContaining({ code: "invalid_request" }));
      expect(codec.encode(`${character.repeat(30)}x `.repeat(30)).length, pattern).toBeGreaterThan(900);
    }
  });

  it("that are none are named", async () => {
    for (const pattern of ["(a", "a)", "[a", "(?<x>a)\\k<x>", "(a)\\1", "a\\"]) {
      const split = { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
      await expect(codecOf({ tokenizer: byteTokenizer([], { pre_tokenizer: split }) }), pattern).rejects.toMatchObject({
        code: "invalid_tokenizer",
      });
    }
  });
});
