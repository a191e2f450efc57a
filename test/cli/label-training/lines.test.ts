/** Labelled lines: what is read of them, and that every bad one is named. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readLabelledQuestions } from "../../../cli/label-training/lines.ts";

const folder = mkdtempSync(join(tmpdir(), "fathom-lines-"));
afterAll(() => rmSync(folder, { recursive: true }));

function read(...lines: unknown[]) {
  const path = join(folder, "labels.jsonl");
  writeFileSync(path, lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"));
  return readLabelledQuestions([path]);
}

const CHOICE = {
  type: "choice",
  instructions: "Which team?",
  choices: [{ value: "billing", description: "charges" }, { value: "technical" }],
};
const PREDICATE = { type: "predicate", instructions: "The customer waits." };

describe("labelled lines", () => {
  it("are grouped by the question that they answer; labels in the order in which they come", async () => {
    const [labels, choice, predicate, ...more] = await read(
      { input: "a", label: "x" },
      { input: "b", label: " y " },
      { input: "c", question: CHOICE, gold: "technical" },
      "",
      { input: "d", label: null },
      { input: "e", question: { ...CHOICE, choices: [...CHOICE.choices, { value: "sales" }] }, gold: "billing" },
      { input: [{ role: "user", content: "f" }], question: PREDICATE, gold: true },
      { input: "g", question: PREDICATE, gold: false },
    );
    expect(more).toEqual([]);
    expect(labels).toMatchObject({ kind: "choice", instructions: undefined, texts: ["x", "y"] });
    expect(labels!.rows.map(({ input, target }) => [input, target])).toEqual([
      ["a", 0],
      ["b", 1],
      ["d", undefined],
    ]);
    expect(choice).toMatchObject({ instructions: "Which team?", texts: ["billing: charges", "technical", "sales"] });
    expect(choice!.rows.map(({ target }) => target)).toEqual([1, 0]);
    expect(predicate).toMatchObject({ kind: "predicate", texts: ["no", "yes"] });
    expect(predicate!.rows.map(({ input, target }) => [input, target])).toEqual([
      ["user: f", 1],
      ["g", 0],
    ]);
  });

  const good = { input: "a", label: "x" };
  it.each<[RegExp, ...unknown[]]>([
    [/labels\.jsonl: there are no lines/, " "],
    [/labels\.jsonl:2: not JSON/, good, "{"],
    [/:2: expected \{"input"/, good, "[1]"],
    [/:2: there is no field "lable"; did you mean label\?/, good, { input: "b", lable: "y" }],
    [/:2: input must be a text that is not blank/, good, { input: " ", label: "y" }],
    [/:2: input must be a text/, good, { label: "y" }],
    [/:2: label must be a text .* not 3/, good, { input: "b", label: 3 }],
    [/:2: label must be a text/, good, { input: "b", label: "" }],
    [/:2: label and gold do not go together/, good, { input: "b", label: "y", gold: "y" }],
    [/:2: expected/, good, { input: "b", gold: "y" }],
    [/:2: gold is "sales"; a choice's is one of/, good, { input: "b", question: CHOICE, gold: "sales" }],
    [/:1: the labels: all lines have the label "x"; give lines of two labels/, good, { input: "b", label: "x" }],
    [/:1: the labels: all lines have no label/, { input: "b", label: null }],
    [/:1: the labels: 256 different labels, of at most 255/, ...Array.from({ length: 256 }, (_, i) => ({ input: "b", label: `${i}` }))],
    [
      /:2: the levels are not those of the question's first line/,
      { input: "a", question: { type: "score", instructions: "How?", levels: [{ label: "low" }, { label: "high" }] }, gold: 0 },
      { input: "b", question: { type: "score", instructions: "How?", levels: [{ label: "high" }, { label: "low" }] }, gold: 0 },
    ],
  ])("are refused by name: %s", async (says, ...lines) => {
    await expect(read(...lines)).rejects.toThrow(says);
  });

  it("are refused where the file cannot be read", async () => {
    await expect(readLabelledQuestions([join(folder, "none.jsonl")])).rejects.toThrow(/Cannot read .*none\.jsonl/);
  });
});
