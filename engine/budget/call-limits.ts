/**
 * What a single call may take of a grant, given what is spent already: pure arithmetic that keeps every promised token
 * at its minimum depth. Not here: time (pace.ts), which exit rule to think by (exit-choice.ts), the books (ledger.ts).
 */
import type { CostModel } from "./cost.ts";
import type { Grant, LimitCause } from "./grant.ts";
import { callUnits, ROUNDING, type RequestPlan } from "./plan.ts";

/** A token may take this share of what is left beyond the promised minimum; savings of easy tokens so reach hard ones. */
const TOKEN_SHARE = 0.5;

export interface CallTerms {
  readonly grant: Grant;
  readonly plan: RequestPlan;
  readonly cost: CostModel;
}

/** Spending before the call. */
export interface Spent {
  readonly units: number;
  /** Core iterations of the calls so far. */
  readonly iterations: number;
}

/** Units of a further token at the promised depth, and of those promised after it. */
export function leastUnits({ grant, plan, cost }: CallTerms, context: number): number {
  return callUnits(cost, 1, context, plan.depth, grant.exit.criterion);
}

/** What does not reach for a further token, work or iterations; undefined where both do. */
export function whatLacks(terms: CallTerms, spent: Spent, index: number, context: number): LimitCause | undefined {
  const { grant, plan } = terms;
  if (spent.iterations + plan.depth > grant.totalIterations) return "total";
  const needed = spent.units + leastUnits(terms, context) + plan.reserveFrom(index + 1);
  return needed > grant.units * (1 - ROUNDING) ? (grant.unitsLimit ?? "cost") : undefined;
}

/** Iterations that a call may run, those kept for promised tokens left out. */
export function iterationsFor({ grant, plan }: CallTerms, spent: Spent, index: number): number {
  const { iterations, totalIterations } = grant;
  const promisedAfter = Math.max(0, plan.promised - 1 - index);
  const free = totalIterations - spent.iterations - promisedAfter * plan.depth;
  return Math.max(plan.depth, Math.min(iterations, free));
}

/** Spending at which a call must have been read out. The prompt may take all that is not promised. */
export function spendingLimit({ grant, plan, cost }: CallTerms, spent: Spent, index: number, rows: number, context: number): number {
  const { criterion } = grant.exit;
  const limit = grant.units * (1 - ROUNDING) - plan.reserveFrom(index + 1);
  const callsLeft = plan.calls - index;
  if (grant.onExhausted !== "degrade" || callsLeft === 1 || !Number.isFinite(limit)) return limit;
  const least = callUnits(cost, rows, context, plan.depth, criterion);
  const free = Math.max(0, limit - spent.units - least);
  if (index > 0) return spent.units + least + free * Math.max(TOKEN_SHARE, 1 / callsLeft);
  // the next token is to be thought about as deeply as the prompt, as it may end the answer
  const oneRow = cost.iteration(1, context + 1).units + cost.check(criterion, 1, 1, context + 1).units;
  const step = cost.iteration(rows, context).units + cost.check(criterion, rows, rows, context).units;
  const deeper = Math.min(grant.iterations - plan.depth, free / (step + oneRow));
  return limit - Math.max(0, deeper) * oneRow;
}
