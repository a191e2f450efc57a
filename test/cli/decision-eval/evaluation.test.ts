/** fathom eval --decisions: what its files may say, what it reports, and what it writes into a card. */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { measuredDecisions } from "../../../cli/decision-eval/card.ts";
import { evaluateDecisions, type Evaluation, type EvaluationPlan } from "../../../cli/decision-eval/evaluation.ts";
import { halvesByKind } from "../../../cli/decision-eval/halves.ts";
import { decideRow, type Outcome } from "../../../cli/decision-eval/outcomes.ts";
import { problemsAsDecisions } from "../../../cli/decision-eval/problems.ts";
import { readDecisionRows, type DecisionRow } from "../../../cli/decision-eval/rows.ts";
import { summariseDecisions } from "../../../cli/decision-eval/summary.ts";
import { fitTemperatures } from "../../../cli/decision-eval/temperatures.ts";
import { compareWitnesses } from "../../../cli/decision-eval/witnesses.ts";
import { parseCard } from "../../../engine/model/card.ts";
import { NEVER_EXIT } from "../../../engine/exit-rule.ts";
import { uniform } from "../../../engine/random.ts";
import type { Model } from "../../../engine/port/model.ts";
import { createNodeWasmBackend } from "../../../wasm/node.ts";
import { smallModel } from "../../decide/models.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const COLOURS = {
  type: "choice",
  instructions: "Which?",
  choices: [{ value: "red" }, { value: true }, { value: "true", description: "yes" }],
};
const LEVELS = { type: "score", instructions: "How?", levels: [{ label: "low" }, { label: "high" }] };
const HOLDS = { type: "predicate", instructions: "It is so." };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fathom-decisions-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, ...rows: unknown[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, rows.map((row) => (typeof row === "string" ? row : JSON.stringify(row))).join("\n") + "\n");
  return path;
}

const rowsOf = async (...rows: unknown[]): Promise<DecisionRow[]> => readDecisionRows([await file("rows.jsonl", ...rows)]);
const mixedRows = (): Promise<DecisionRow[]> =>
  rowsOf(
    ...["a cat", "a dog", "10 pigs"].flatMap((input) => [
      { input, question: COLOURS, gold: "red", task: "colours" },
      { input, question: COLOURS, gold: null, task: "colours" },
      { input, question: HOLDS, gold: true },
      { input, question: LEVELS, gold: 1 },
    ]),
  );

const wasmModel = (): Promise<Model> => smallModel("branches", (config, load) => createNodeWasmBackend(config, load));

const PLAN: EvaluationPlan = {
  limits: [1, 2],
  thinking: { iterations: 2, exit: NEVER_EXIT },
  withInvariance: true,
  samples: 20,
};

describe("a labelled decision", () => {
  it("takes its gold by value and type, by truth, by level, or as none", async () => {
    const rows = await rowsOf(
      { input: "x", question: COLOURS, gold: true },
      { input: "x", question: COLOURS, gold: "true" },
      { input: "x", question: COLOURS, gold: null },
      { input: "x", question: HOLDS, gold: false },
      { input: [{ role: "user", content: "hi" }], question: LEVELS, gold: 1 },
    );
    expect(rows.map(({ gold }) => gold)).toEqual([1, 2, undefined, 0, 1]);
    expect(rows.map(({ task }) => task)).toEqual(Array(5).fill("rows"));
    expect(rows.at(-1)!.input).toContain("hi");
    expect(rows[1]!.question).toMatchObject({ options: [{ text: "red" }, { text: "true" }, { text: "true: yes" }] });
  });

  it.each([
    [{ input: "x", question: COLOURS }, /rows.jsonl:1: expected .*"gold"/],
    [{ input: "x", question: COLOURS, gold: "blue" }, /gold is "blue"; a choice's is one of "red", true, "true", or null/],
    [{ input: "x", question: HOLDS, gold: null }, /gold is null; a predicate's is one of false, true\./],
    [{ input: "x", question: LEVELS, gold: 2 }, /a score's is one of 0, 1, or null/],
    [
      { input: "x", question: { type: "choice", instructions: "?", choices: [{ value: 1 }] }, gold: 1 },
      /rows.jsonl:1: questions\[0\].choices/,
    ],
    [{ input: "x", question: { type: "rank" }, gold: 1 }, /predicate, choice or score/],
    [{ question: HOLDS, gold: true }, /expected/],
    ["{", /rows.jsonl:1: expected/],
    ["[1]", /rows.jsonl:1: expected/],
  ])("that is wrong is named by its place: %j", async (row, message) => {
    await expect(rowsOf(row)).rejects.toMatchObject({ code: "invalid_request", message: expect.stringMatching(message) });
  });

  it("is read up to a limit a task", async () => {
    const rows = ["a", "b", "a", "a"].map((task) => ({ input: "x", question: HOLDS, gold: true, task }));
    expect((await readDecisionRows([await file("many.jsonl", ...rows)], 2)).map(({ task }) => task)).toEqual(["a", "b", "a"]);
    await expect(readDecisionRows([await file("none.jsonl", "")])).rejects.toMatchObject({
      message: expect.stringContaining("no decisions"),
    });
    await expect(readDecisionRows([join(folder, "nowhere.jsonl")])).rejects.toMatchObject({
      message: expect.stringContaining("Cannot read"),
    });
  });

  it("can be a problem, with its task's answers as options", () => {
    const problem = { task: "sum", level: 1, prompt: "1+1=", answer: "2" };
    const [first, second] = problemsAsDecisions([
      problem,
      { ...problem, prompt: "1+2=", answer: "3" },
      { ...problem, task: "b", answer: "x" },
    ]);
    expect(first).toMatchObject({ input: "1+1=", gold: 0, question: { instructions: "", options: [{ text: "2" }, { text: "3" }] } });
    expect(second).toMatchObject({ gold: 1 });
  });
});

describe("an evaluation", () => {
  it("scores every limit and the exit rule, by task and in all", async () => {
    const model = await wasmModel();
    let steps = 0;
    const { tasks, invariance } = await evaluateDecisions(model, await mixedRows(), PLAN, () => steps++);
    expect(tasks.map(({ task }) => task)).toEqual([undefined, "colours", "rows"]);
    expect(tasks.map(({ limits }) => limits.map(({ iterations }) => iterations))).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
    const [all, colours, rest] = tasks.map(({ withExit }) => withExit);
    expect([all!.n, colours!.n, rest!.n]).toEqual([9, 3, 6]);
    expect([all!.outOfScope?.n, rest!.outOfScope]).toEqual([3, undefined]);
    expect(all!.meanIterations).toBe(2);
    for (const { value, low, high } of [all!.accuracy, all!.brier, all!.aurc]) {
      expect(low).toBeLessThanOrEqual(value);
      expect(high).toBeGreaterThanOrEqual(value);
    }
    expect(steps).toBe(12 * 3 + invariance.reduce((sum, { n }) => sum + n, 0));
  });

  it("says the same of a shuffled file", async () => {
    const model = await wasmModel();
    const rows = await mixedRows();
    const [one, other] = [
      await evaluateDecisions(model, rows, PLAN, () => {}),
      await evaluateDecisions(model, rows.toReversed(), PLAN, () => {}),
    ];
    const timeless = ({ tasks, ...rest }: Evaluation): unknown =>
      JSON.parse(
        JSON.stringify({ all: tasks[0], ...rest }, (key, value: unknown) => (key === "msPerDecision" || key === "meanShift" ? 0 : value)),
      );
    expect(timeless(other)).toEqual(timeless(one));
  });

  it("finds that names, order and company change no bit, and counts what else does", async () => {
    const { invariance } = await evaluateDecisions(await wasmModel(), await mixedRows(), PLAN, () => {});
    const of = (name: string): (typeof invariance)[number] => invariance.find(({ change }) => change === name)!;
    for (const change of ["another name", "other questions beside"])
      expect(of(change)).toMatchObject({ n: 12, equal: 12, largestShift: 0 });
    expect(of("options reversed")).toMatchObject({ n: 6, equal: 6, changed: { value: 0 } });
    expect(of("unrelated sentence before")).toMatchObject({ n: 12, equal: 0 });
    expect(of("unrelated sentence before").largestShift).toBeGreaterThan(0);
    expect(of("negation").n).toBe(3);
  });
});

/** Outcomes of imagined answers: right with the probability that they say, raised to a power. */
function imagined(row: DecisionRow, count: number, sharpness: number, seed: number): Outcome[] {
  return Array.from({ length: count }, (_, i) => {
    const score = 6 * uniform(seed, 0, i) - 3;
    const p = 1 / (1 + Math.exp(-score));
    const gold = Number(uniform(seed, 1, i) < p);
    const shown = 1 / (1 + Math.exp(-score * sharpness));
    const isRight = gold === Number(shown >= 0.5);
    return {
      row: { ...row, input: `${seed} ${i}`, gold },
      probabilities: [1 - shown, shown],
      scores: [0, score * sharpness],
      answer: Number(shown >= 0.5),
      fit: shown,
      iterations: 8,
      settledAt: isRight ? 2 : 7,
      agreement: uniform(seed, 2, i),
      ms: 1,
    };
  });
}

describe("what is fitted", () => {
  it("are temperatures by kind and number of options, which mend the other half's calibration", async () => {
    const [row] = await rowsOf({ input: "x", question: HOLDS, gold: true });
    const [fitted, ...none] = fitTemperatures(imagined(row!, 2000, 3, 5));
    expect(none).toEqual([]);
    expect(fitted).toMatchObject({ kind: "predicate", options: 1, fittedOn: 1000, n: 1000 });
    expect(fitted!.temperature).toBeGreaterThan(2.5);
    expect(fitted!.temperature).toBeLessThan(3.5);
    expect(fitted!.after.ece).toBeLessThan(fitted!.before.ece / 2);
    expect(fitted!.after.surprise).toBeLessThan(fitted!.before.surprise);
    expect(fitTemperatures(imagined(row!, 30, 3, 5))).toEqual([]);
  });

  it("are halves that no row is in twice, the same for a shuffled file", async () => {
    const [row] = await rowsOf({ input: "x", question: HOLDS, gold: true });
    const outcomes = imagined(row!, 101, 1, 6);
    const [half] = halvesByKind(outcomes);
    const inputs = (list: readonly Outcome[]): string[] => list.map((outcome) => outcome.row.input);
    expect(new Set([...inputs(half!.fitted), ...inputs(half!.reported)]).size).toBe(101);
    expect(half!.fitted).toHaveLength(51);
    expect(halvesByKind(outcomes.toReversed())).toEqual([half]);
  });

  it("is which witness tells right from wrong: here when an answer settled", async () => {
    const [row] = await rowsOf({ input: "x", question: HOLDS, gold: true });
    const witnesses = new Map(compareWitnesses(imagined(row!, 400, 1, 7), { samples: 20 }).map((witness) => [witness.name, witness]));
    expect([...witnesses.keys()]).toEqual(["probability", "settledAt", "agreement", "mix"]);
    const settled = witnesses.get("settledAt")!;
    expect(settled.aurc.value).toBeLessThan(witnesses.get("probability")!.aurc.value);
    expect(witnesses.get("probability")!.aurc.value).toBeLessThan(witnesses.get("agreement")!.aurc.value);
    expect(settled.ece.value).toBeLessThan(0.05);
    expect(witnesses.get("mix")!.aurc.value).toBeCloseTo(settled.aurc.value, 2);
  });
});

describe("a predicate", () => {
  it("is two classes, its answer the likelier", async () => {
    const model = await wasmModel();
    const [row] = await rowsOf({ input: "a cat", question: HOLDS, gold: true });
    const { probabilities, answer } = await decideRow(model, row!, PLAN.thinking);
    expect(probabilities[0]! + probabilities[1]!).toBe(1);
    expect(answer).toBe(Number(probabilities[1]! >= 0.5));
  });
});

describe("the card", () => {
  it("is given temperatures, the fit that refuses what nothing fits, and a table that the engine reads back", async () => {
    const [row] = await rowsOf({ input: "x", question: COLOURS, gold: "red", task: "colours" });
    const outcomes = imagined({ ...row!, labels: ["a", "b"] }, 200, 2, 8).map((outcome, i) =>
      i % 4 === 0 ? { ...outcome, row: { ...outcome.row, gold: undefined } } : outcome,
    );
    const summary = summariseDecisions(outcomes, { samples: 20 });
    const limits = [{ iterations: 4, summary }];
    const evaluation: Evaluation = {
      tasks: [
        { task: undefined, limits, withExit: summary },
        { task: "colours", limits, withExit: summary },
      ],
      temperatures: fitTemperatures(outcomes),
      witnesses: [],
      invariance: [],
    };
    const measured = measuredDecisions(evaluation);
    expect(measured).toMatchObject({ quality: [{ task: "colours", n: 150, outOfScope: 50, accuracy: { 4: expect.any(Number) } }] });
    expect(Object.keys(measured.temperatures)).toEqual(["choice"]);
    expect(measured.fitThreshold).toBeGreaterThan(0);
    const { config, card } = await smallModel();
    const { exitRule: _rule, cacheStrategy: _cache, ...json } = card;
    const decisions = { ...json.decisions!, ...measured };
    expect(parseCard({ ...json, decisions }, config).decisions).toEqual(decisions);
  });

  it("is written by the command, and what it does not measure stays", async () => {
    const copy = join(folder, "nano");
    await cp(join(ROOT, "models/nano"), copy, { recursive: true });
    const before = JSON.parse(await readFile(join(copy, "card.json"), "utf8")) as Record<string, unknown>;
    const rows = Array.from({ length: 4 }, (_, i) => ({
      input: `True and ${i % 2 === 0 ? "True" : "False"}`,
      question: HOLDS,
      gold: i % 2 === 0,
    }));
    const args = [
      "cli/fathom.mjs",
      "eval",
      "--model",
      copy,
      "--decisions",
      await file("few.jsonl", ...rows),
      "--iterations",
      "2",
      "--json",
      "--card",
    ];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
    const printed = JSON.parse(stdout) as { tasks: { task?: string; withExit: { n: number } }[] };
    expect(printed.tasks.map(({ task, withExit }) => [task, withExit.n])).toEqual([
      [undefined, 4],
      ["few", 4],
    ]);
    const after = JSON.parse(await readFile(join(copy, "card.json"), "utf8")) as { decisions: object };
    expect(after.decisions).toMatchObject({
      quality: [{ task: "few", n: 4 }],
      qualityMeasuredBy: "fathom eval --decisions few.jsonl --card --iterations 2",
    });
    expect({ ...after, decisions: undefined }).toEqual({ ...before, decisions: undefined });
  });
});
