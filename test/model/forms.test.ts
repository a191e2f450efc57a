/** Forms of prompts: nano's own problems have theirs, whatever else is asked has none, and then that is said. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { lowFitWords } from "../../engine/decide/low-fit.ts";
import { parseCard } from "../../engine/model/card.ts";
import { formOf, offForm } from "../../engine/model/forms.ts";

const folder = new URL("../../models/nano/", import.meta.url);
const json = JSON.parse(readFileSync(new URL("card.json", folder), "utf8")) as object;
const { forms = [] } = parseCard(json);

describe("the forms of nano's card", () => {
  it("are those of every held-out problem, each its own", () => {
    let asked = 0;
    for (const file of readdirSync(new URL("eval/", folder)))
      for (const line of readFileSync(new URL(`eval/${file}`, folder), "utf8")
        .trim()
        .split("\n")) {
        const { task, prompt } = JSON.parse(line) as { task: string; prompt: string };
        expect(formOf(forms, prompt)?.name, prompt).toBe(task);
        asked++;
      }
    expect(asked).toBeGreaterThan(2000);
  });

  it("are shown by an example that has them", () => {
    for (const form of forms) expect(formOf(forms, form.example)?.name).toBe(form.name);
    expect(forms.map(({ name }) => name)).toEqual(["liar", "arithmetic", "boolean", "navigation"]);
  });

  it.each([
    "",
    "Hello",
    "2+2",
    "2 + 2 =",
    "What is the capital of France?",
    "Question: what is 2+2?",
    "Start with a joke.",
    "Is it true?",
    "true is",
  ])("are not those of %j, and that is said with what the model is for", (prompt) => {
    expect(formOf(forms, prompt)).toBeUndefined();
    expect(offForm("nano", forms, prompt)).toMatch(
      /^nano was trained on prompts of 4 forms \(liar, arithmetic, .*the answer means nothing\. One .*Ada lies/,
    );
  });

  it("are left out by models that take any prompt", () => {
    expect(offForm("huginn", undefined, "Hello")).toBeUndefined();
    expect(offForm("huginn", [], "Hello")).toBeUndefined();
  });

  it("are checked like every field of a card", () => {
    expect(() => parseCard({ ...json, forms: [{ name: "x", begins: "y" }] })).toThrow(/card\.json: forms\.0\./);
  });
});

describe("the word for a low fit", () => {
  it("is said where the best option fits badly, or below a threshold; never of predicates", () => {
    expect(lowFitWords("choice", 0.02, false)).toBe(" (low: probably none of these)");
    expect(lowFitWords("score", 0.6, true)).toBe(" (low: probably none of these)");
    expect([lowFitWords("choice", 0.5, false), lowFitWords("choice", 0.99, false), lowFitWords("predicate", 0.01, false)]).toEqual([
      "",
      "",
      "",
    ]);
  });
});
