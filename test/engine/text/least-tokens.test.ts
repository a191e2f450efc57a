/**
 * Texts far too long for a model are refused before their tokens are made, and never one that would fit.
 */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../engine/model/config.ts";
import { diskFolder } from "../../../cli/files.ts";
import { modelPath } from "../../../cli/models.ts";
import { longestTokenOf } from "../../../engine/model/text/least-tokens.ts";
import { readTokenizer } from "../../../engine/model/tokenizer.ts";
import { readVocabulary } from "../../../engine/model/text/vocabulary.ts";
import { foreignText, guard } from "../../../engine/model/text/guarded-text.ts";
import { strip } from "../../../engine/model/text/template-values.ts";

const FOLDER = modelPath("nano");
const json = JSON.parse(readFileSync(`${FOLDER}/tokenizer.json`, "utf8"));
const config = parseConfig(JSON.parse(readFileSync(`${FOLDER}/config.json`, "utf8")));
const text = await readTokenizer(diskFolder(FOLDER), config);
const settings = { special: new Set<string>() } as never;

describe("the fewest tokens of a text", () => {
  it("are never more than it has, and are told before", () => {
    const vocabulary = readVocabulary(json, settings, new Set());
    const words = ["Start with 3. ", " instructions", "\n", "é", "😀", "  ", "\ud800", "backward"];
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ unit: "binary" })), { maxLength: 30 }), (parts) => {
        let least = 0;
        const ids = vocabulary.encode(foreignText(parts.join("")), (tokens) => (least = tokens));
        expect(least).toBeLessThanOrEqual(ids.length);
      }),
    );
  });

  it.each([
    ["which leaves letters out", { model: { ...json.model, vocab: { a: 0, b: 1 } } }],
    [
      "whose splitter removes some",
      { pre_tokenizer: { ...json.pre_tokenizer, pretokenizers: [{ type: "Whitespace" }, { type: "ByteLevel" }] } },
    ],
    ["of another kind", { model: { ...json.model, type: "Unigram" } }],
  ])("cannot be told of a tokenizer %s", (_, change) => {
    expect(longestTokenOf({ ...json, ...change })).toBe(Infinity);
  });

  it("refuse a text of any kind that cannot fit, by name", () => {
    for (const unit of ["a", "lies ", " ", "😀", "1"]) {
      const long = "Q" + unit.repeat(900_000 / unit.length);
      expect(() => text.encode(long), unit).toThrow(/at least \d{5} tokens, more than the model's context of 1024/);
    }
    expect(() => text.encodeChat([{ role: "user", content: "lies ".repeat(180_000) }])).toThrow(
      expect.objectContaining({ code: "context_overflow", param: "messages" }),
    );
  });
});

it("cuts spaces from a caller's text as from any, pairs and halves of pairs kept", () => {
  const cut = new Set([" ", "\n"]);
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(" ", "\n", "a", "😀", "\ud83d", "\ude00") }),
      fc.boolean(),
      fc.boolean(),
      (s, left, right) => {
        const expected = s.slice(left ? s.match(/^[ \n]*/)![0].length : 0);
        const whole = right ? expected.replace(/[ \n]*$/, "") : expected;
        expect(strip(s, cut, left, right)).toBe(whole);
        expect(strip(guard(s), cut, left, right)).toBe(guard(whole));
      },
    ),
  );
});
