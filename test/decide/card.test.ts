/** How a card says that its model decides: what fits, what does not, and what holds where it says nothing. */
import { describe, expect, it } from "vitest";
import { defaultCard, parseCard } from "../../engine/model/card.ts";
import { decisionForm } from "../../engine/model/decisions.ts";
import type { TextCodec } from "../../engine/model/tokenizer.ts";
import { letters, MARKERS, SMALL_CONFIG } from "./models.ts";

const named: TextCodec = { ...letters, tokenId: (name) => ({ "<|q|>": 1, "<|far|>": 900 })[name] };

function formOf(decisions: unknown, text: TextCodec = named) {
  return decisionForm(
    parseCard({ ...defaultCard("small", SMALL_CONFIG), ...(decisions !== undefined && { decisions }) }, SMALL_CONFIG),
    SMALL_CONFIG,
    text,
  );
}

describe("a card's decisions", () => {
  it("name their markers by text or id", () => {
    const form = formOf({ form: "branches", markers: { ...MARKERS, begin: undefined, question: "<|q|>" } });
    expect(form).toEqual({ name: "branches", markers: { ...MARKERS, begin: undefined, question: 1 } });
  });

  it.each([
    ["decisions.markers", { form: "branches" }, /markers: missing/],
    ["decisions.markers.question", { form: "branches", markers: { ...MARKERS, question: "<|no|>" } }, /"<\|no\|>" is not a token/],
    [
      "decisions.markers.yes",
      { form: "branches", markers: { ...MARKERS, yes: "<|far|>" } },
      /token 900 is outside the model's vocabulary of 101/,
    ],
    ["decisions.markers.fit", { form: "branches", markers: { ...MARKERS, fit: 3 } }, /did you mean fits\?/],
    ["decisions.form", { form: "branch" }, /./],
    ["decisions.iterations", { form: "letters", iterations: 0 }, /./],
    ["maxIterations", { form: "letters", iterations: 4000 }, /go up to 4000/],
    ["decisions.temperatures.choice.2", { form: "letters", temperatures: { choice: { 2: 0 } } }, /./],
    ["decisions.fitThreshold", { form: "letters", fitThreshold: 2 }, /./],
    ["decisions.exit.wake", { form: "letters", exit: { criterion: "prefix", threshold: 1, weke: 1 } }, /wake/],
  ])("are refused at %s where they are wrong", (field, decisions, says) => {
    try {
      formOf(decisions);
      expect.unreachable("it was taken");
    } catch (error) {
      expect(error).toMatchObject({ code: "invalid_card", message: expect.stringMatching(says) as string });
      if (field !== "decisions.exit.wake") expect(error).toHaveProperty("param", field);
    }
  });

  it("are letters where nothing is said and the tokenizer has them, else likelihood", () => {
    expect(formOf(undefined)).toMatchObject({ name: "letters", letters: { length: 26 } });
    const pairs: TextCodec = { ...letters, encodePart: (text) => Array.from(text).flatMap(() => [7, 8]) };
    expect(formOf(undefined, pairs)).toEqual({ name: "likelihood" });
    expect(() => formOf({ form: "letters" }, pairs)).toThrow(/use likelihood/);
    const unknown: TextCodec = { ...letters, encodePart: () => [9], tokenName: () => "<unk>" };
    expect(formOf(undefined, unknown)).toEqual({ name: "likelihood" });
  });
});
