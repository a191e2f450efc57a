/**
 * The model of dependent steps in models/: its answers to problems that training never drew, and that it is thinking on
 * that finds them. How good it is, by steps and iterations, is in docs/models.md.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { diskFolder } from "../../cli/files.ts";
import { decide, prepareDecision, type DecideOptions, type Question } from "../../engine/decide/index.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { loadModel } from "../../engine/port/model.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";

/** A line of `train/decider depth-rows`: four of each form with 1, 2, 4 and 8 dependent steps. */
interface Line {
  readonly task: string;
  readonly input: string;
  readonly question: { readonly instructions: string; readonly choices?: readonly { readonly value: string }[] };
  readonly gold: boolean | string;
}

const lines = readFileSync(join(import.meta.dirname, "chains-problems.jsonl"), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Line);
const model = await loadModel(diskFolder(join(import.meta.dirname, "../../models/chains")), (config, load) =>
  createNodeWasmBackend(config, load),
);

async function ask({ input, question: { instructions, choices } }: Line, options?: DecideOptions) {
  const question: Question = choices
    ? { kind: "choice", instructions, options: choices.map(({ value }) => ({ text: value })) }
    : { kind: "predicate", instructions };
  const { answers } = await decide(prepareDecision(model, { input, questions: [question] }), options);
  const [answer] = answers as [(typeof answers)[0]];
  return { found: choices ? choices[answer!.best]!.value : answer!.probabilities[0]! > 0.5, iterations: answer!.iterations };
}

async function wrong(steps: readonly number[], options?: DecideOptions): Promise<{ of: number; tasks: string[]; iterations: number }> {
  const asked = lines.filter(({ task }) => steps.some((k) => task.endsWith(` k=${k}`)));
  const tasks: string[] = [];
  let iterations = 0;
  for (const line of asked) {
    const answer = await ask(line, options);
    iterations += answer.iterations / asked.length;
    if (answer.found !== line.gold) tasks.push(line.task);
  }
  return { of: asked.length, tasks, iterations };
}

describe("the shipped model of dependent steps", () => {
  it("answers problems of up to eight steps with its card's settings", async () => {
    const { of, tasks } = await wrong([1, 2, 4, 8]);
    expect(of).toBe(32);
    expect(tasks.length, `wrong: ${tasks.join(", ")}`).toBeLessThanOrEqual(2);
  });

  it("needs the iterations: four and eight steps are not found in three", async () => {
    const { of, tasks } = await wrong([4, 8], { iterations: 3, exit: NEVER_EXIT });
    expect(tasks.length, `of ${of} wrong: ${tasks.join(", ")}`).toBeGreaterThanOrEqual(5);
  });

  it("stops sooner where there are fewer steps", async () => {
    const [few, many] = [await wrong([1]), await wrong([8])];
    expect(few.iterations).toBeLessThan(many.iterations);
  });
});
