/**
 * fathom bench budget, the frontier: accuracy against what was spent, for the controller at a range of budgets, every
 * fixed depth, and each exit rule alone, on the same problems in the same run.
 */
import type { Budget } from "../engine/budget/budget.ts";
import { callUnits } from "../engine/budget/plan.ts";
import { costModel } from "../engine/budget/cost.ts";
import { assumedCalibration } from "../engine/budget/calibration.ts";
import { parseExitRule } from "../engine/exit-rule.ts";
import type { Model } from "../engine/port/model.ts";
import type { Problem } from "../cli/eval-score.ts";
import { isAllowed } from "../cli/measured-exits.ts";
import {
  measuredExitsOf,
  scoreBudget,
  stepsOf,
  summarise,
  type BudgetScore,
  type BudgetSteps,
  type PolicyPoint,
} from "../cli/budget-score.ts";

/** Depths of the fixed policy. */
const DEPTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 32];

/** Exit rules alone, each at its usual threshold. */
const ALONE: readonly string[] = ["latent-diff:0.03", "second-diff:0.03", "argmax-stability:5", "prefix:0.1", "rest-wake:0.1:0.3"];

const BUDGETS = 14;

/** Budgets in work units, evenly spaced by ratio: from what the cheapest prompt needs to what the dearest can use. */
export function budgetGrid(model: Model, problems: readonly Problem[], count = BUDGETS): number[] {
  const { config, card, text } = model;
  const cost = costModel(config, (card.calibration ?? assumedCalibration(model.backend.name)).weights);
  const lengths = problems.map((p) => text.encodeChat([{ role: "user", content: p.prompt }]).length).toSorted((a, b) => a - b);
  const whole = (length: number, depth: number): number => callUnits(cost, length, length, depth, card.exit.criterion);
  const least = whole(lengths[Math.floor(lengths.length * 0.9)]!, 1);
  const most = whole(lengths.at(-1)!, 12);
  return Array.from({ length: count }, (_, i) => Number((least * (most / least) ** (i / (count - 1))).toPrecision(3)));
}

/** The first problems of every task and level, and all others: what is chosen on the one is shown on the other. */
export function splitProblems(problems: readonly Problem[], first: number): { first: Problem[]; rest: Problem[] } {
  const taken = new Map<string, number>();
  const split = { first: [] as Problem[], rest: [] as Problem[] };
  for (const problem of problems) {
    const key = `${problem.task} ${problem.level}`;
    const before = taken.get(key) ?? 0;
    taken.set(key, before + 1);
    (before < first ? split.first : split.rest).push(problem);
  }
  return split;
}

interface Policy {
  readonly name: string;
  readonly units: number | null;
  readonly budget: Budget;
}

export interface Frontier {
  readonly points: readonly PolicyPoint[];
  readonly steps: BudgetSteps;
}

/** All policies on all problems. @param budgets ascending @param onProgress called after each answer */
export async function frontier(
  model: Model,
  problems: readonly Problem[],
  budgets: readonly number[],
  onProgress: () => void,
): Promise<Frontier> {
  const { maxIterations } = model.card;
  const exit = (text: string): Budget["exit"] => parseExitRule(text);
  const policies: Policy[] = [
    ...budgets.map((units) => ({ name: "controller", units, budget: { units } })),
    ...budgets.map((units) => ({ name: "depth cut to the budget", units, budget: { units, exit: exit("none") } })),
    ...DEPTHS.filter((r) => r <= maxIterations).map((r) => ({
      name: `r=${r}`,
      units: null,
      budget: { iterations: r, exit: exit("none") },
    })),
    ...ALONE.filter((rule) => isAllowed(model, parseExitRule(rule).criterion)).map((rule) => ({
      name: rule,
      units: null,
      budget: { iterations: maxIterations, exit: exit(rule) },
    })),
  ] as Policy[];
  const measuredExits = measuredExitsOf(model);
  const points: PolicyPoint[] = [];
  const controlled: BudgetScore[][] = [];
  for (const { name, units, budget } of policies) {
    const scores: BudgetScore[] = [];
    for (const problem of problems) {
      scores.push(await scoreBudget(model, problem, budget, measuredExits));
      onProgress();
    }
    points.push(summarise(name, units, scores));
    if (name === "controller") controlled.push(scores);
  }
  return { points, steps: stepsOf(controlled) };
}

export function policyCount(budgets: readonly number[], maxIterations: number): number {
  return 2 * budgets.length + DEPTHS.filter((r) => r <= maxIterations).length + ALONE.length;
}

/** Accuracy of fixed depths at a mean spend, between two depths in proportion; undefined outside of what was measured. */
export function fixedAt(points: readonly PolicyPoint[], meanUnits: number): number | undefined {
  const fixed = points.filter((p) => p.policy.startsWith("r=")).toSorted((a, b) => a.meanUnits - b.meanUnits);
  const next = fixed.findIndex((p) => p.meanUnits >= meanUnits);
  if (next === 0) return meanUnits === fixed[0]!.meanUnits ? fixed[0]!.accuracy : undefined;
  if (next < 0) return fixed.length === 0 ? undefined : Math.max(...fixed.map((p) => p.accuracy));
  const [a, b] = [fixed[next - 1]!, fixed[next]!];
  return a.accuracy + ((b.accuracy - a.accuracy) * (meanUnits - a.meanUnits)) / (b.meanUnits - a.meanUnits);
}
