/**
 * The plan made before a decision: whether the budget reaches for every question, and what is kept for later passes. All in worst
 * cases: every row runs every iteration. Pure; what really happens is the controller's business.
 */
import type { DecisionShape } from "../decision-policy.ts";
import type { DecisionCost } from "./decision-cost.ts";
import { msOf, type Grant } from "./grant.ts";
import { neededIterations, type NeedEstimate } from "./need.ts";
import { infeasible, iterationsOf, ROUNDING, type PlanTerms } from "./plan.ts";

export interface DecisionPlan {
  /** Iterations that every pass is sure of. */
  readonly depth: number;
  /** Passes that may go deeper than that, from an index on. */
  deepFrom(index: number): number;
  /** Iterations of the passes from an index on, at `depth`. */
  iterationsFrom(index: number): number;
  /** Units of the passes from an index on, at `depth`; 0 beyond them. */
  reserveFrom(index: number): number;
}

/** What a decision is planned by. */
export interface DecisionPlanTerms extends Omit<PlanTerms, "cost"> {
  readonly cost: DecisionCost;
}

/**
 * degrade: all questions at minimum depth must fit. truncate and error: at full depth, as an answer to half of the
 * questions is none.
 * @throws {InfeasibleError} with the least that would do
 */
export function planDecision(
  grant: Grant,
  { passes }: DecisionShape,
  { cost, calibration, carefulMsPerUnit = calibration.msPerUnit.p95 }: DecisionPlanTerms,
): DecisionPlan {
  const depth = grant.onExhausted === "degrade" ? grant.minIterations : grant.iterations;
  const reserve = [0];
  for (const pass of passes.toReversed()) reserve.unshift(reserve[0]! + cost.pass(pass, depth, grant.exit.criterion));
  const needed = reserve[0]!;
  const iterationsFrom = (index: number): number => passes.slice(index).reduce((sum, { most = depth }) => sum + Math.min(depth, most), 0);
  const iterations = iterationsFrom(0);
  const carefulMs = msOf(needed * (1 + ROUNDING), carefulMsPerUnit, grant.overheadMs);
  const isShort = needed > grant.units * (1 - ROUNDING) || carefulMs > (grant.budget.latencyMs ?? Infinity);
  if (isShort || iterations > grant.totalIterations) {
    const rows = passes.reduce((sum, pass) => sum + pass.rows.rows, 0);
    const what = `the decision's ${rows} rows at ${iterationsOf(depth)} each`;
    throw infeasible(grant, what, { units: needed, iterations }, calibration, carefulMsPerUnit);
  }
  return {
    depth,
    deepFrom: (index) => passes.slice(index).filter(({ most }) => most === undefined).length,
    iterationsFrom,
    reserveFrom: (index) => reserve[index] ?? 0,
  };
}

/** Units that passes from an index on are to get whatever the others do; beyond the last none. */
export function decisionNeed(
  grant: Grant,
  { passes }: DecisionShape,
  plan: DecisionPlan,
  cost: DecisionCost,
  estimate: NeedEstimate,
): (index: number) => number {
  const iterations = neededIterations(grant, plan.depth, estimate);
  const from = [0];
  for (const pass of passes.toReversed()) from.unshift(from[0]! + cost.pass(pass, iterations, grant.exit.criterion));
  return (index) => from[index] ?? 0;
}
