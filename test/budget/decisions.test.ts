/** Decisions under budgets: what is granted is never exceeded, and what is cut is a true beginning of the whole. */
import { describe, expect, it } from "vitest";
import { frozenClock } from "../../engine/budget/clock.ts";
import { InfeasibleError } from "../../engine/budget/grant.ts";
import { WORKERS } from "../../engine/budget/price.ts";
import { SharedBudget } from "../../engine/budget/shared-budget.ts";
import type { Budget } from "../../engine/budget/budget.ts";
import { decide, prepareDecision, type PreparedDecision } from "../../engine/decide/decide.ts";
import type { Question } from "../../engine/decide/question.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { FORMS, MATCH, smallModel } from "../decide/models.ts";
import { runDecisions } from "./decision-runs.ts";
import { CALIBRATION } from "./requests.ts";

const wasm: Parameters<typeof smallModel>[1] = (config, load) => createNodeWasmBackend(config, load);
const models = await Promise.all([...FORMS.map((form) => smallModel(form, wasm)), smallModel("branches", wasm, {}, MATCH)]);
const [branches] = models as [(typeof models)[number]];
const NEVER = { criterion: "none", threshold: 0 } as const;
const QUESTIONS: readonly Question[] = [
  { kind: "choice", instructions: "Which?", options: [{ text: "one" }, { text: "another" }] },
  { kind: "predicate", instructions: "It holds." },
];

async function run(budget: Budget, prepared: PreparedDecision = prepareDecision(branches, { input: "Some input.", questions: QUESTIONS })) {
  const shared = new SharedBudget({ shape: branches.config, calibration: CALIBRATION, clock: frozenClock() });
  const grant = shared.grant({ body: budget }, { iterations: 6, maxIterations: 12, tokens: 1, exit: NEVER }, WORKERS);
  const controller = shared.openDecision(grant, prepared.shape, shared.arrive());
  try {
    const decision = await decide(prepared, { policy: controller });
    return { decision, grant, spending: controller.report() };
  } finally {
    controller.abandon();
    expect(shared.admission.taken).toBe(0);
  }
}

describe("a decision's budget", () => {
  it("is spent to the last iteration that fits, and not beyond", async () => {
    const whole = await run({ iterations: 6 });
    expect(whole.spending).toMatchObject({ iterations: 6, limitedBy: "iterations", converged: 0, capped: 3 });
    const part = await run({ units: whole.spending.units * 0.7 });
    expect(part.spending.units).toBeLessThanOrEqual(part.grant.units);
    expect(part.spending.limitedBy).toBe("cost");
    expect(part.spending.iterations).toBeGreaterThan(1);
    expect(part.spending.iterations).toBeLessThan(6);
    expect(part.decision.answers[0]!.history).toEqual(whole.decision.answers[0]!.history.slice(0, part.spending.iterations));
  });

  it("is refused before any work where it does not cover every question once, with what would do", async () => {
    const error = await run({ units: 1e-5 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InfeasibleError);
    expect((error as Error).message).toMatch(/decision's \d+ rows at 1 iteration each/);
    const enough = await run({ units: (error as InfeasibleError).minimum.units * (1 + 1e-6) });
    expect(enough.spending.iterations).toBe(1);
  });

  it("asks for full depth where thinking less is not allowed", async () => {
    const { spending } = await run({ iterations: 6 });
    await expect(run({ units: spending.units * 0.7, iterations: 6, onExhausted: "error" })).rejects.toThrow(/at 6 iterations each/);
    await expect(run({ units: spending.units * 0.7, onExhausted: "truncate" })).rejects.toThrow(/does not cover/);
  });

  it("is shared among passes by what each needs, also where all iterations are capped", async () => {
    const prepared = prepareDecision(branches, { input: "Some input.", questions: QUESTIONS }, { passBytes: 1 });
    expect(prepared.passes).toHaveLength(3);
    const { decision, spending } = await run({ totalIterations: 9 }, prepared);
    expect(decision.answers.map(({ iterations }) => iterations)).toEqual([3, 3]);
    expect(spending).toMatchObject({ iterations: 9, limitedBy: "iterations" });
    const whole = await run({ iterations: 6 }, prepared);
    const part = await run({ units: whole.spending.units * 0.7 }, prepared);
    expect(Math.min(...part.decision.answers.map(({ iterations }) => iterations))).toBeGreaterThan(2);
  });

  it("ends at the platform's limit with what there is", async () => {
    const prepared = prepareDecision(branches, { input: "Some input.", questions: QUESTIONS });
    let near = 0;
    const cpuLimit = { watch: () => () => ++near > 2 };
    const shared = new SharedBudget({
      shape: branches.config,
      calibration: CALIBRATION,
      clock: frozenClock(),
      cpuLimit: cpuLimit as never,
    });
    const grant = shared.grant({ body: {} }, { iterations: 6, maxIterations: 12, tokens: 1, exit: NEVER }, WORKERS);
    const controller = shared.openDecision(grant, prepared.shape, shared.arrive());
    const { answers } = await decide(prepared, { policy: controller });
    expect(answers[0]!.iterations).toBe(3);
    expect(controller.report().limitedBy).toBe("ceiling");
  });
});

describe("random decisions", () => {
  it("keep to their budgets under any load and clock", async () => {
    for (let n = 0; n < 30; n++) expect((await runDecisions(models, 7, n)).failures, `run ${n}, seed 7`).toEqual([]);
  });
});
