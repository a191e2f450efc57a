/**
 * Decisions under rules that stop rows one by one: each leaf is what a plain prompt of its tokens is under the same rule,
 * on random models and on the shipped one.
 */
import { describe, expect, it } from "vitest";
import { decide, prepareDecision } from "../../engine/decide/decide.ts";
import type { Question } from "../../engine/decide/question.ts";
import { forward } from "../../engine/decode/forward.ts";
import { NEVER_EXIT, type ExitRule } from "../../engine/exit-rule.ts";
import type { Backend, Model } from "../../engine/port/index.ts";
import { passCache } from "../../engine/decide/passes.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { letters, MARKERS, smallModel } from "./models.ts";

const INPUT = "An input of some length.";
const CHOICE: Question = { kind: "choice", instructions: "Which one?", options: ["red", "green apples", "b"].map((text) => ({ text })) };
const PREDICATE: Question = { kind: "predicate", instructions: "It holds, as far as anybody knows." };
const RULES: readonly ExitRule[] = [
  { criterion: "prefix", threshold: 0.5 },
  { criterion: "rest-wake", threshold: 0.5, wake: 0.3 },
  { criterion: "rest-wake", threshold: 0.6, wake: 0.1, minIterations: 2, checkEvery: 2 },
];
const ITERATIONS = 24;

/** A plain prompt's call: the logits behind it, and how deep it went. */
async function plain({ backend }: Model, tokens: readonly number[], exit: ExitRule) {
  const cache = passCache(backend.config);
  const attention = exit.criterion === "rest-wake";
  const sequence = backend.openSequence({ capacity: tokens.length, maxIterations: ITERATIONS, cache, attention });
  const rows = await backend.prelude(tokens.map((token) => ({ sequence, token })));
  const result = await forward(backend, rows, { iterations: ITERATIONS, exit, isPrefill: true });
  backend.closeSequence(sequence);
  return result;
}

/** Counts rows that iterate. */
function counting(backend: Backend): { readonly counted: Backend; readonly rows: () => number } {
  let rows = 0;
  const iterate: Backend["iterate"] = (part) => {
    rows += part.length;
    return backend.iterate(part);
  };
  const counted = new Proxy(backend, {
    get(target, name) {
      const value: unknown = name === "iterate" ? iterate : Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { counted, rows: () => rows };
}

describe.each(RULES)("under $criterion $threshold", (exit) => {
  it("branches are what plain prompts of their tokens are", async () => {
    const model = await smallModel("branches", (config, load) => createNodeWasmBackend(config, load));
    const prepared = prepareDecision(model, { input: INPUT, questions: [CHOICE, PREDICATE] }, { exit });
    const { answers } = await decide(prepared, { iterations: ITERATIONS, exit });
    const put = (text: string): number[] => (text === "" ? [] : letters.encodePart(` ${text}`));
    for (const [q, question] of [CHOICE, PREDICATE].entries())
      for (const [o, text] of (question.kind === "predicate" ? [""] : question.options.map((option) => option.text)).entries()) {
        const asked = [MARKERS.begin, ...letters.encodePart(INPUT), MARKERS.question, ...put(question.instructions)];
        const { logits, iterations, exited } = await plain(model, [...asked, MARKERS.option, ...put(text), MARKERS.fits], exit);
        expect(answers[q]!.fitScores[o], `${question.kind}: ${text}`).toBe(logits[MARKERS.yes]);
        expect(answers[q]!.iterations).toBeGreaterThanOrEqual(iterations);
        expect(exited).toBe(true);
        expect(iterations).toBeLessThan(ITERATIONS);
      }
  });

  it.each(["letters", "likelihood"] as const)("%s are what the prompt leaves", async (form) => {
    const model = await smallModel(form, (config, load) => createNodeWasmBackend(config, load));
    const question: Question = { ...CHOICE, options: ["x", "y", "z"].map((text) => ({ text })) };
    const prepared = prepareDecision(model, { input: INPUT, questions: [question] }, { exit });
    const [tree] = prepared.trees;
    const asked = [...tree!.tokens, ...tree!.questions[0]!.tokens];
    const { answers } = await decide(prepared, { iterations: ITERATIONS, exit });
    const { logits, iterations } = await plain(model, asked, exit);
    expect(answers[0]!.iterations).toBe(form === "letters" ? iterations : answers[0]!.iterations);
    if (form === "letters") expect(answers[0]!.fitScores[0]).toBeCloseTo(logits[letters.encodePart("A")[0]!]!, 5);
  });

  it("rows that stand still cost nothing, beside any questions and in any number of passes", async () => {
    const model = await smallModel("branches", (config, load) => createNodeWasmBackend(config, load));
    const request = { input: INPUT, questions: [CHOICE, PREDICATE] };
    const full = counting(model.backend);
    await decide(prepareDecision(model, request), { iterations: ITERATIONS, exit: NEVER_EXIT, backend: full.counted });
    const resting = counting(model.backend);
    const whole = await decide(prepareDecision(model, request, { exit }), { iterations: ITERATIONS, exit, backend: resting.counted });
    expect(resting.rows()).toBeLessThan(0.7 * full.rows());
    expect(whole.iterations.rowIterations).toBe(resting.rows());
    const cut = await decide(prepareDecision(model, request, { exit, passBytes: 1 }), { iterations: ITERATIONS, exit });
    expect(cut.answers).toEqual(whole.answers);
    const alone = await decide(prepareDecision(model, { ...request, questions: [PREDICATE] }, { exit }), { iterations: ITERATIONS, exit });
    expect(alone.answers[0]).toEqual(whole.answers[1]);
  });
});
