/**
 * The plan made before the prompt: whether the budget reaches, and how many tokens it promises. All in worst cases: every row runs
 * every iteration. Pure; what really happens, and is usually cheaper, is the controller's business.
 */
import type { ExitCriterion } from "../exit-rule.ts";
import type { Calibration } from "./calibration.ts";
import type { CostModel } from "./cost.ts";
import { InfeasibleError, msOf, type Grant, type Minimum } from "./grant.ts";
import { usdOf } from "./price.ts";

/** What sums of many small costs may differ by from their parts, relative: far above f64 rounding. */
export const ROUNDING = 1e-9;

/**
 * The largest share of the grant that is kept for further tokens. Tokens that were asked for are to come, if shallower;
 * those of the card's default may never be written, and must not take the prompt's depth.
 */
const RESERVE_SHARE = { asked: 0.5, byDefault: 0.1 };

/** What a request asks of the model, beside its prompt's length. */
export interface RequestShape {
  /** Completions of the prompt, which share its call and make their further tokens in turn. [default 1] */
  readonly choices?: number;
  /** Rows of the prompt that are taken over from an earlier one, and cost nothing. [default 0] */
  readonly cachedRows?: number;
}

export interface RequestPlan {
  /** Iterations that every call is sure of. */
  readonly depth: number;
  /** Calls that the grant's tokens take: the prompt's, which gives every completion its first token, and one for each further token. */
  readonly calls: number;
  /** Calls that are sure of `depth`; more may follow from savings. */
  readonly promised: number;
  /** Units of the promised calls from an index on, at `depth`; 0 beyond them. */
  reserveFrom(index: number): number;
}

/** Units of a whole call: prelude, iterations with the exit rule's looks, readout. */
export function callUnits(cost: CostModel, rows: number, context: number, depth: number, criterion: ExitCriterion): number {
  const step = cost.iteration(rows, context).units + cost.check(criterion, rows, rows, context).units;
  return cost.prelude(rows, context).units + depth * step + cost.readout(rows, context).units;
}

export interface PlanTerms {
  readonly cost: CostModel;
  readonly calibration: Calibration;
  /**
   * Milliseconds of a unit at which the least that must be done is to keep the deadline: it cannot be cut once begun.
   * [default the calibration's p95]
   */
  readonly carefulMsPerUnit?: number;
}

/**
 * degrade: the prompt and its token at minimum depth must fit, and as many further tokens as fit beside them are
 * promised the same. truncate: at full depth. error: all tokens at full depth.
 * @throws {InfeasibleError} with the least that would do
 */
export function planRequest(
  grant: Grant,
  promptRows: number,
  { cost, calibration, carefulMsPerUnit = calibration.msPerUnit.p95 }: PlanTerms,
  { choices = 1, cachedRows = 0 }: RequestShape = {},
): RequestPlan {
  const { onExhausted, totalIterations } = grant;
  const calls = 1 + choices * (grant.tokens - 1);
  const { criterion } = grant.exit;
  const depth = onExhausted === "degrade" ? grant.minIterations : grant.iterations;
  const units = grant.units * (1 - ROUNDING);
  const tokenUnits = (index: number): number => callUnits(cost, 1, promptRows + Math.ceil(index / choices), depth, criterion);

  let needed = callUnits(cost, promptRows - cachedRows, promptRows, depth, criterion);
  const required = onExhausted === "error" ? calls : 1;
  const share = grant.tokensAreDefault ? RESERVE_SHARE.byDefault : RESERVE_SHARE.asked;
  const reserve = [0];
  for (let index = 1; index < calls; index++) {
    const sum = reserve[index - 1]! + tokenUnits(index);
    const fits = needed + sum <= units && (sum <= share * units || onExhausted !== "degrade") && (index + 1) * depth <= totalIterations;
    if (index >= required && !fits) break;
    reserve.push(sum);
  }
  const promised = reserve.length;
  const all = reserve[promised - 1]!;
  needed += required > 1 ? all : 0;
  const carefulMs = msOf(needed * (1 + ROUNDING), carefulMsPerUnit, grant.overheadMs);
  if (needed > units || carefulMs > (grant.budget.latencyMs ?? Infinity) || required * depth > totalIterations)
    throw infeasible(
      grant,
      whatIsAsked(promptRows, required > 1 ? grant.tokens : 1, choices, depth),
      { units: needed, iterations: required * depth },
      calibration,
      carefulMsPerUnit,
    );
  return { depth, calls, promised, reserveFrom: (index) => (index >= promised ? 0 : all - reserve[Math.max(0, index - 1)]!) };
}

/**
 * Whether a grant pays for every token at full depth, by every row: then nothing is ever cut for what it costs.
 * @param promptDepth iterations to reckon with for the prompt, where they are more [default the grant's]
 */
export function coversAll(
  { units, iterations, totalIterations, tokens, exit: { criterion } }: Grant,
  promptRows: number,
  cost: CostModel,
  { choices = 1 }: RequestShape = {},
  promptDepth = iterations,
): boolean {
  const further = choices * (tokens - 1);
  if ((1 + further) * iterations > totalIterations) return false;
  const prompt = callUnits(cost, promptRows, promptRows, Math.max(iterations, promptDepth), criterion);
  return prompt + further * callUnits(cost, 1, promptRows + tokens - 1, iterations, criterion) <= units * (1 - ROUNDING);
}

function whatIsAsked(promptRows: number, tokens: number, choices: number, depth: number): string {
  const each = tokens === 1 ? "one new token" : `${tokens} new tokens`;
  const all = choices > 1 && tokens > 1 ? `${choices} completions of ${each}` : each;
  return `the prompt of ${promptRows} tokens and ${all} at ${iterationsOf(depth)} each`;
}

export function iterationsOf(depth: number): string {
  return `${depth} ${depth === 1 ? "iteration" : "iterations"}`;
}

/**
 * The refusal of a budget that cannot reach, with what the work takes in every currency that the budget limits.
 * @param what   the work, for the message
 * @param needed units, and core iterations in all
 */
export function infeasible(
  grant: Grant,
  what: string,
  needed: { readonly units: number; readonly iterations: number },
  { msPerUnit }: Calibration,
  carefulMsPerUnit = msPerUnit.p95,
): InfeasibleError {
  const { budget, price, overheadMs } = grant;
  const units = needed.units * (1 + 2 * ROUNDING);
  const ms = msOf(units, carefulMsPerUnit, overheadMs);
  const isIterations = needed.iterations > grant.totalIterations;
  const minimum: Minimum = {
    units: needed.units,
    ...(budget.latencyMs !== undefined && { latencyMs: ms }),
    ...(budget.costUsd !== undefined && { costUsd: usdOf(price, msOf(units, msPerUnit.p95, overheadMs)) }),
    ...(budget.totalIterations !== undefined && { totalIterations: needed.iterations }),
  };
  const field = isIterations
    ? "total_iterations"
    : ms > (budget.latencyMs ?? Infinity) && grant.unitsLimit !== "cost"
      ? "latency_ms"
      : budget.units === grant.units
        ? "work_units"
        : "cost_usd";
  return new InfeasibleError(`The budget does not cover ${what}; it takes at least ${amounts(minimum)}.`, `budget.${field}`, minimum);
}

function amounts({ units, latencyMs, costUsd, totalIterations }: Minimum): string {
  const list = [
    latencyMs !== undefined && `latency_ms ${roundUp(latencyMs)}`,
    costUsd !== undefined && `cost_usd ${roundUp(costUsd)}`,
    totalIterations !== undefined && `total_iterations ${totalIterations}`,
  ].filter((part) => part !== false);
  return list.length > 0 ? list.join(", ") : `${roundUp(units)} work units`;
}

/** Rounds to two significant digits upwards, so that the figure named is enough. */
export function roundUp(value: number): number {
  if (!(value > 0) || !Number.isFinite(value)) return value;
  const scale = 10 ** (1 - Math.floor(Math.log10(value)));
  return Number((Math.ceil(value * scale) / scale).toPrecision(12));
}
