/**
 * The budget on the wire -> what everyone has said about a request, for the engine to merge and grant. Checks the
 * body's fields against the model; headers are engine/budget/headers.ts. Not here: what a budget buys, spending it.
 */
import * as v from "valibot";
import { mergeBudgets, ON_EXHAUSTED, type Budget, type BudgetSources } from "../engine/budget/budget.ts";
import { DEFAULT_THRESHOLDS, EXIT_CRITERIA, type ExitRule } from "../engine/exit-rule.ts";
import type { Effort, ModelCard } from "../engine/model/card.ts";
import { check, number, oneOf, positive, strictObject, wholeNumber } from "./check.ts";

/** What a request's body asks for; `budget` is checked later, as its ranges are the model's. */
export interface BudgetRequest {
  readonly effort: Effort | undefined;
  readonly budget: unknown;
  /** Most tokens to generate. */
  readonly maxTokens: number | undefined;
}

/** What is said about a request outside of its body. */
export type BudgetsBeside = Pick<BudgetSources, "key" | "header">;

/** The deployment's ceilings; a request can only stay below them. */
export interface Limits {
  /** Largest request body. [default 1 MiB] */
  readonly maxBodyBytes: number;
  /** Most tokens of a completion. [default the model's context] */
  readonly maxCompletionTokens: number;
  /** Most iterations a token. [default the card's maxIterations] */
  readonly maxIterations: number;
  /** Time, money and all else that a budget can limit. [default nothing] */
  readonly budget: Budget;
}

export const DEFAULT_LIMITS: Limits = { maxBodyBytes: 1 << 20, maxCompletionTokens: Infinity, maxIterations: Infinity, budget: {} };

/** Everything that was said about a request. @throws {ApiError} 400 naming the field and its range */
export function budgetSources(request: BudgetRequest, card: ModelCard, limits: Limits, beside: BudgetsBeside): BudgetSources {
  const { effort, maxTokens } = request;
  return {
    ...beside,
    ceiling: ceilingOf(limits),
    body: mergeBudgets(bodyBudget(request.budget, card), maxTokens === undefined ? {} : { tokens: maxTokens }),
    effort: effort === undefined ? {} : { iterations: card.effort[effort] },
  };
}

/**
 * The tightest `latency_ms` that anyone has set, known before the model is: what a caller can wait for a load, too. What
 * is wrong with a body's own is said later, with its range.
 */
export function latencyMsOf(
  { budget }: Pick<BudgetRequest, "budget">,
  { budget: ceiling }: Limits,
  { key, header }: BudgetsBeside,
): number {
  const own = (budget as { latency_ms?: unknown } | null | undefined)?.latency_ms;
  return Math.min(
    ceiling.latencyMs ?? Infinity,
    key?.latencyMs ?? Infinity,
    header?.latencyMs ?? Infinity,
    typeof own === "number" && own > 0 ? own : Infinity,
  );
}

function ceilingOf({ maxCompletionTokens, maxIterations, budget }: Limits): Budget {
  return mergeBudgets(
    budget,
    Number.isFinite(maxCompletionTokens) ? { tokens: maxCompletionTokens } : {},
    Number.isFinite(maxIterations) ? { iterations: maxIterations } : {},
  );
}

function bodyBudget(json: unknown, card: ModelCard): Budget {
  const { latency_ms, cost_usd, iterations, total_iterations, exit, on_exhausted } = check(budgetSchema(card), json ?? {}, "budget");
  const namesRule = exit?.criterion !== undefined || exit?.threshold !== undefined || exit?.wake !== undefined;
  return {
    ...(latency_ms !== undefined && { latencyMs: latency_ms }),
    ...(cost_usd !== undefined && { costUsd: cost_usd }),
    ...(iterations !== undefined && { iterations }),
    ...(total_iterations !== undefined && { totalIterations: total_iterations }),
    ...(exit?.min_iterations !== undefined && { minIterations: exit.min_iterations }),
    ...(namesRule && { exit: exitRule(exit!, card.exitRule) }),
    ...(on_exhausted !== undefined && { onExhausted: on_exhausted }),
  };
}

function budgetSchema(card: ModelCard) {
  const exit = strictObject(
    {
      criterion: v.optional(oneOf(EXIT_CRITERIA)),
      threshold: v.optional(number(0, Infinity)),
      wake: v.optional(number(0, Infinity)),
      min_iterations: v.optional(wholeNumber(0, card.maxIterations)),
    },
    "an object with criterion, threshold, wake and min_iterations",
  );
  return strictObject(
    {
      latency_ms: v.optional(positive()),
      cost_usd: v.optional(positive()),
      iterations: v.optional(wholeNumber(1, card.maxIterations)),
      total_iterations: v.optional(wholeNumber(1)),
      exit: v.optional(exit),
      on_exhausted: v.optional(oneOf(ON_EXHAUSTED)),
    },
    'an object such as {"latency_ms": 150}',
  );
}

/** A field that is left out is the card's, or the criterion's own default. */
function exitRule(
  asked: {
    criterion?: ExitRule["criterion"] | undefined;
    threshold?: number | undefined;
    wake?: number | undefined;
  },
  own: ExitRule,
): NonNullable<Budget["exit"]> {
  const criterion = asked.criterion ?? own.criterion;
  const wake = asked.wake ?? (asked.threshold === undefined && criterion === own.criterion ? own.wake : undefined);
  return {
    criterion,
    threshold: asked.threshold ?? (criterion === own.criterion ? own.threshold : DEFAULT_THRESHOLDS[criterion]),
    ...(wake !== undefined && { wake }),
  };
}
