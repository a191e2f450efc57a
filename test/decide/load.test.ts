/**
 * Decisions beside others: 32 requests in the lanes of one scheduler over Wasm, each with the bits that it has alone;
 * and decisions that are larger than their memory.
 */
import { describe, expect, it } from "vitest";
import { decide, prepareDecision } from "../../engine/decide/decide.ts";
import type { Answer, DecisionRequest, Question } from "../../engine/decide/question.ts";
import { FathomError } from "../../engine/errors.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import { uniform } from "../../engine/random.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { FORMS, hasDecider, loadDecider, smallModel } from "./models.ts";

const MIB = 1048576;
const wasm =
  (limitBytes = 96 * MIB): Parameters<typeof smallModel>[1] =>
  (config, load) =>
    createNodeWasmBackend(config, load, { limitBytes });
const EXIT = { criterion: "latent-diff", threshold: 0.5 } as const;

function requestOf(seed: number): DecisionRequest {
  const below = (n: number, i: number): number => Math.floor(uniform(seed, 0, i) * n);
  const text = (i: number): string => "the quick brown fox jumps over the lazy dog".slice(below(20, i), 21 + below(20, i + 1));
  const questions = Array.from({ length: 1 + below(3, 0) }, (_, q): Question => {
    if (below(3, 10 + q) === 0) return { kind: "predicate", instructions: text(20 + q) };
    return {
      kind: "choice",
      instructions: text(30 + q),
      options: Array.from({ length: 2 + below(6, 40 + q) }, (_, o) => ({ text: text(50 + 10 * q + o) })),
    };
  });
  return { input: text(5), questions };
}

describe("decisions in the lanes of a scheduler", () => {
  it.each(FORMS)("by %s have the bits that they have alone, beside 31 others", async (form) => {
    const model = await smallModel(form, wasm());
    const prepared = Array.from({ length: 32 }, (_, i) =>
      prepareDecision(model, requestOf(i + 1), i % 3 === 0 ? { passBytes: 20_000 } : {}),
    );
    const options = { iterations: 5, exit: EXIT };
    const alone: (readonly Answer[])[] = [];
    for (const one of prepared) alone.push((await decide(one, options)).answers);
    const scheduler = new Scheduler(model.backend, { width: 48 });
    const together = await Promise.all(prepared.map((one) => decide(one, { ...options, backend: scheduler.lane() })));
    together.forEach(({ answers }, i) => expect(answers, `request ${i}`).toEqual(alone[i]));
    const { owners } = model.backend.memory();
    expect([owners["kv cache"] ?? 0, owners["rows"] ?? 0]).toEqual([0, 0]);
  });

  it("say the same of a question that is asked twice, and of options with spaces around them", async () => {
    const model = await smallModel("branches", wasm());
    const question: Question = { kind: "choice", instructions: "Which one?", options: [{ text: "red" }, { text: "blue" }] };
    const spaced: Question = { ...question, instructions: " Which one? ", options: [{ text: " red" }, { text: "blue  " }] };
    const { answers } = await decide(prepareDecision(model, { input: "Some input.", questions: [question, spaced, question] }));
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
  });
});

describe("a decision's memory", () => {
  const large = (options: number, questions: number): DecisionRequest => ({
    input: "word ".repeat(20),
    questions: Array.from({ length: questions }, (_, q) => ({
      kind: "choice",
      instructions: `Question ${q}?`,
      options: Array.from({ length: options }, (_, o) => ({ text: `option ${o}` })),
    })),
  });

  it("stays below the limit of a pass, whatever the number of options", async () => {
    const model = await smallModel("branches", wasm());
    const before = model.backend.memory();
    const prepared = prepareDecision(model, large(60, 3), { passBytes: 2 * MIB });
    expect(prepared.passes.length).toBeGreaterThan(1);
    for (const { bytes } of prepared.passes) expect(bytes).toBeLessThanOrEqual(2 * MIB);
    await decide(prepared, { iterations: 2 });
    const after = model.backend.memory();
    expect(after.peakBytes - before.usedBytes).toBeLessThan(2.3 * MIB);
    expect(after.usedBytes).toBe(before.usedBytes);
  });

  it("is there from the beginning to the end, or the decision is refused before any work", async () => {
    const model = await smallModel("branches", wasm(3 * MIB));
    const { backend } = model;
    const prepared = prepareDecision(model, large(40, 2), { passBytes: 1.2 * MIB });
    const scheduler = new Scheduler(backend, { width: 16 });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 6 }, () => decide(prepared, { iterations: 2, backend: scheduler.lane() })),
    );
    const refused = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as FathomError] : []));
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(6);
    for (const error of refused) expect(error.code).toBe("out_of_memory");
    const alone = await decide(prepared, { iterations: 2 });
    for (const outcome of outcomes) if (outcome.status === "fulfilled") expect(outcome.value.answers).toEqual(alone.answers);
  });

  it.skipIf(!hasDecider)(
    "stays under 64 MiB for 255 options and 10 questions over 200 tokens (skipped without the reference model)",
    async () => {
      const model = await loadDecider((config, load) => createNodeWasmBackend(config, load, { limitBytes: 64 * MIB }), "q8");
      const options = Array.from({ length: 255 }, (_, i) => ({ text: `option number ${i}` }));
      const questions = Array.from({ length: 10 }, (_, i): Question => ({
        kind: "choice",
        instructions: `Which one fits in case ${i}?`,
        options,
      }));
      const prepared = prepareDecision(model, { input: "card ".repeat(200), questions });
      expect(prepared.trees[0]!.tokens.length).toBeGreaterThanOrEqual(200);
      const { answers } = await decide(prepared, { iterations: 1 });
      expect(answers).toHaveLength(10);
      expect(model.backend.memory().peakBytes).toBeLessThan(64 * MIB);
    },
  );
});
