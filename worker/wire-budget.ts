/**
 * A budget as requests write it, and its rules: the same for the body's object and the header's dictionary. Not here:
 * who else limits a request (budget.ts), how a header is read (budget-headers.ts).
 */
import * as v from "valibot";
import { ON_EXHAUSTED, type Budget } from "../engine/budget/budget.ts";
import { DEFAULT_THRESHOLDS, EXIT_CRITERIA, type ExitRule } from "../engine/exit-rule.ts";
import type { ModelCard } from "../engine/model/card.ts";
import { number, oneOf, positive, strictObject, wholeNumber } from "./check.ts";

/** What the rules need to know of a model; without one nothing has an upper bound. */
export type RulesOf = Pick<ModelCard, "maxIterations" | "exitRule">;

/** Rules for the fields of `budget`; null says nothing, as in all of OpenAI's optional fields. */
export function budgetEntries(card: RulesOf | undefined) {
  const most = card?.maxIterations ?? Infinity;
  const exit = strictObject(
    {
      criterion: v.nullish(oneOf(EXIT_CRITERIA)),
      threshold: v.nullish(number(0, Infinity)),
      wake: v.nullish(number(0, Infinity)),
      min_iterations: v.nullish(wholeNumber(0, most)),
    },
    "an object with criterion, threshold, wake and min_iterations",
  );
  return {
    latency_ms: v.nullish(positive()),
    cost_usd: v.nullish(positive()),
    iterations: v.nullish(wholeNumber(1, most)),
    total_iterations: v.nullish(wholeNumber(1)),
    min_quality: v.nullish(number(0, 1)),
    exit: v.nullish(exit),
    on_exhausted: v.nullish(oneOf(ON_EXHAUSTED)),
  };
}

type Entries = ReturnType<typeof budgetEntries>;
export type WireBudget = { [Field in keyof Entries]?: v.InferOutput<Entries[Field]> };

/** The engine's form of a budget that follows the rules. */
export function toBudget(wire: WireBudget, card: RulesOf | undefined): Budget {
  const { latency_ms, cost_usd, iterations, total_iterations, min_quality, exit, on_exhausted } = wire;
  const rule = exitRule(exit ?? {}, card?.exitRule);
  return {
    ...(isSaid(latency_ms) && { latencyMs: latency_ms }),
    ...(isSaid(cost_usd) && { costUsd: cost_usd }),
    ...(isSaid(iterations) && { iterations }),
    ...(isSaid(total_iterations) && { totalIterations: total_iterations }),
    ...(isSaid(min_quality) && { minQuality: min_quality }),
    ...(isSaid(exit?.min_iterations) && { minIterations: exit.min_iterations }),
    ...(rule && { exit: rule }),
    ...(isSaid(on_exhausted) && { onExhausted: on_exhausted }),
  };
}

function isSaid<T>(value: T): value is NonNullable<T> {
  return value !== undefined && value !== null;
}

/** A field that is left out is the card's, or the criterion's own default. undefined where no rule is named. */
function exitRule(
  { criterion: named, threshold, wake }: NonNullable<WireBudget["exit"]>,
  own: ExitRule | undefined,
): Budget["exit"] | undefined {
  const criterion = named ?? own?.criterion;
  if (criterion === undefined || !(isSaid(named) || isSaid(threshold) || isSaid(wake))) return undefined;
  const ofCard = criterion === own?.criterion ? own : undefined;
  const woken = wake ?? (isSaid(threshold) ? undefined : ofCard?.wake);
  return {
    criterion,
    threshold: threshold ?? ofCard?.threshold ?? DEFAULT_THRESHOLDS[criterion],
    ...(woken !== undefined && { wake: woken }),
  };
}
