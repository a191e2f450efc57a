/**
 * The budget on the wire -> what a request is granted: the field-wise minimum of effort, own cap and the deployment's
 * ceiling. Fields of the wire form that this version cannot honour are refused by name, never dropped.
 * Not here: spending it (the token loop).
 */
import * as v from "valibot";
import { DEFAULT_THRESHOLDS, EXIT_CRITERIA, type ExitRule } from "../engine/exit-rule.ts";
import type { Effort, ModelCard } from "../engine/model/card.ts";
import { check, number, oneOf, positive, strictObject, wholeNumber } from "./check.ts";
import { ApiError } from "./errors.ts";

/** What a request asks for; `budget` is checked by `grant`, as its ranges are the model's. */
export interface BudgetRequest {
  readonly effort: Effort | undefined;
  readonly budget: unknown;
}

/** The deployment's ceilings; a request can only stay below them. */
export interface Limits {
  /** Largest request body. [default 1 MiB] */
  readonly maxBodyBytes: number;
  /** Most tokens of a completion. [default the model's context] */
  readonly maxCompletionTokens: number;
  /** Most iterations a token. [default the card's maxIterations] */
  readonly maxIterations: number;
}

export const DEFAULT_LIMITS: Limits = { maxBodyBytes: 1 << 20, maxCompletionTokens: Infinity, maxIterations: Infinity };

export interface Granted {
  /** Most iterations a token. */
  readonly iterations: number;
  readonly exit: ExitRule;
}

/** Fields of the wire form that need a cost model, with their types. */
const LATER = {
  latency_ms: v.optional(positive()),
  cost_usd: v.optional(positive()),
  total_iterations: v.optional(wholeNumber(1)),
  on_exhausted: v.optional(oneOf(["degrade", "truncate", "error"])),
};

/** @throws {ApiError} 400 naming the field and its range */
export function grant({ effort, budget }: BudgetRequest, card: ModelCard, limits: Limits): Granted {
  const { iterations, exit, ...later } = check(budgetSchema(card), budget ?? {}, "budget");
  for (const [field, value] of Object.entries(later))
    if (value !== undefined)
      throw new ApiError(
        400,
        "unsupported_parameter",
        `budget.${field} is not supported by this version; use budget.iterations, budget.exit or reasoning_effort.`,
        `budget.${field}`,
      );
  const asked = [effort && card.effort[effort], iterations].filter((n) => n !== undefined);
  return {
    iterations: Math.min(...(asked.length > 0 ? asked : [card.iterations]), limits.maxIterations),
    exit: exit === undefined ? card.exitRule : exitRule(exit, card.exitRule),
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
  const iterations = wholeNumber(1, card.maxIterations);
  return strictObject({ iterations: v.optional(iterations), exit: v.optional(exit), ...LATER }, 'an object such as {"iterations": 8}');
}

/** A field that is left out is the card's, or the criterion's own default. */
function exitRule(
  asked: {
    criterion?: ExitRule["criterion"] | undefined;
    threshold?: number | undefined;
    wake?: number | undefined;
    min_iterations?: number | undefined;
  },
  own: ExitRule,
): ExitRule {
  const criterion = asked.criterion ?? own.criterion;
  const wake = asked.wake ?? (asked.threshold === undefined && criterion === own.criterion ? own.wake : undefined);
  return {
    criterion,
    threshold: asked.threshold ?? (criterion === own.criterion ? own.threshold : DEFAULT_THRESHOLDS[criterion]),
    minIterations: asked.min_iterations ?? own.minIterations ?? 0,
    ...(wake !== undefined && { wake }),
  };
}
