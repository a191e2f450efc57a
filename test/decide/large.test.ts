/**
 * Large decisions on the shipped models: many options, many questions, a long input; what they hold, and what sharing the
 * input saves.
 */
import { describe, expect, it } from "vitest";
import { diskFolder } from "../../cli/files.ts";
import { modelPath } from "../../cli/models.ts";
import { decide, prepareDecision } from "../../engine/decide/decide.ts";
import type { Question } from "../../engine/decide/question.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { loadModel, type Model } from "../../engine/port/index.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";

const LIMIT = 64 * 1048576;
const MODELS = ["decider", "nano"] as const;
const load = (name: string): Promise<Model> =>
  loadModel(diskFolder(modelPath(name)), (config, weights) => createNodeWasmBackend(config, weights, { limitBytes: LIMIT }));

const OPTIONS = Array.from({ length: 255 }, (_, i) => ({ text: `option number ${i}` }));
/** 200 tokens of either model, or a few more. */
const INPUTS = { decider: "my card was lost ".repeat(50), nano: "Add 4. ".repeat(70) };
const ONCE = { iterations: 1, exit: NEVER_EXIT };

describe.each(MODELS)("%s", (name) => {
  it("answers 10 questions of 255 options over 200 tokens within 64 MiB, weights and all", async () => {
    const model = await load(name);
    const before = model.backend.memory().usedBytes;
    const questions = Array.from({ length: 10 }, (_, i): Question => ({
      kind: "choice",
      instructions: `Which of case ${i}?`,
      options: OPTIONS,
    }));
    const prepared = prepareDecision(model, { input: INPUTS[name], questions });
    expect(prepared.trees[0]!.tokens.length).toBeGreaterThanOrEqual(200);
    const { answers } = await decide(prepared, ONCE);
    for (const { probabilities } of answers) {
      expect(probabilities).toHaveLength(255);
      expect(probabilities.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
    }
    expect(answers).toHaveLength(10);
    expect(model.backend.memory().peakBytes).toBeLessThan(LIMIT);
    const { usedBytes, owners } = model.backend.memory();
    expect(usedBytes - (owners["options"] ?? 0), "all but what later requests need not compute").toBe(before);
  });

  it("reads an input of 400 questions once, not 400 times, and gives all memory back", async () => {
    const model = await load(name);
    const before = model.backend.memory().usedBytes;
    const questions = Array.from({ length: 400 }, (_, i): Question => ({ kind: "predicate", instructions: `It is case ${i}.` }));
    const prepared = prepareDecision(model, { input: INPUTS[name], questions });
    const { answers, iterations, usage } = await decide(prepared, ONCE);
    expect(answers).toHaveLength(400);
    // tokens are counted once each: the input's, and each question's with its options'
    expect(iterations.rowIterations).toBeLessThan(1.2 * usage.inputTokens);
    const alone = prepareDecision(model, { input: INPUTS[name], questions: questions.slice(0, 1) });
    expect(usage.inputTokens).toBeLessThan(0.2 * 400 * alone.inputTokens);
    expect(model.backend.memory().usedBytes).toBe(before);
  });
});
