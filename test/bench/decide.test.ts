/** What the bench of decisions asks: the sizes that it says, on a model that decides. */
import { describe, expect, it } from "vitest";
import { decideCases, deciderModel, decisionOf, tokensAtOnce, type DecideCase } from "../../bench/decide-model.ts";
import { timeDecision, timeRuns } from "../../bench/decide-run.ts";
import { quantile } from "../../bench/timing.ts";
import { prepareDecision } from "../../engine/decide/decide.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";

describe("the bench of decisions", () => {
  it("varies options, questions, input and depth one at a time, and asks the largest that is promised", () => {
    const cases = decideCases();
    const of = (name: keyof DecideCase): number[] => [...new Set(cases.map((sized) => sized[name]))].sort((a, b) => a - b);
    expect(of("options")).toEqual([2, 10, 77, 151, 255]);
    expect(of("questions")).toEqual([1, 10, 100]);
    expect(of("inputTokens")).toEqual([30, 100, 200, 500]);
    expect(of("iterations")).toEqual([1, 2, 4, 8, 16]);
    expect(cases).toContainEqual({ options: 255, questions: 10, inputTokens: 200, iterations: 2 });
    expect(new Set(cases.map((sized) => JSON.stringify(sized))).size).toBe(cases.length);
  });

  it("asks as many tokens as it says, and answers within 32 MiB a pass", async () => {
    const model = await deciderModel((config, load) => createNodeWasmBackend(config, load));
    for (const sized of [...decideCases(), { options: 1, questions: 3, inputTokens: 30, iterations: 1 }]) {
      const { trees, inputTokens, passes } = prepareDecision(model, decisionOf(sized));
      expect(trees[0]!.tokens, JSON.stringify(sized)).toHaveLength(sized.inputTokens);
      expect(trees[0]!.questions.map(({ leaves }) => leaves.length)).toEqual(Array(sized.questions).fill(sized.options));
      expect(inputTokens).toBe(sized.inputTokens + sized.questions * (tokensAtOnce(sized) - sized.inputTokens));
      expect(Math.max(...passes.map(({ bytes }) => bytes))).toBeLessThanOrEqual(32 * 1048576);
    }
    const small = decisionOf({ options: 2, questions: 1, inputTokens: 4, iterations: 2 });
    const run = await timeDecision(model, small, { iterations: 2, exit: NEVER_EXIT }, { runs: 4, limitMs: 1e6 });
    expect(run).toMatchObject({ iterations: 2, passes: 1, ms: Array(4).fill(expect.any(Number)) });
  });

  it("runs a case three times at least, and once before", async () => {
    let calls = 0;
    expect(await timeRuns(async () => void calls++, { runs: 100, limitMs: 0 })).toHaveLength(3);
    expect(calls).toBe(4);
  });

  it("reads quantiles off what was measured", () => {
    expect([quantile([3, 1, 2], 0.5), quantile([3, 1, 2], 0.95), quantile([5], 0.5)]).toEqual([2, 3, 5]);
  });
});
