/** A budget as a deployment writes it, in options and for keys; the wire's own form is in wire-budget.ts. */
import * as v from "valibot";
import { ON_EXHAUSTED, type Budget } from "../engine/budget/budget.ts";
import { EXIT_CRITERIA } from "../engine/exit-rule.ts";
import { checkOptions, named, notNegative, oneOf, positive, share, wholeNumber } from "../engine/options.ts";

export const budgetOption = named({
  latencyMs: v.exactOptional(positive()),
  costUsd: v.exactOptional(positive()),
  units: v.exactOptional(positive()),
  iterations: v.exactOptional(wholeNumber(1)),
  totalIterations: v.exactOptional(wholeNumber(1)),
  tokens: v.exactOptional(wholeNumber(1)),
  minIterations: v.exactOptional(wholeNumber(0)),
  minQuality: v.exactOptional(share()),
  exit: v.exactOptional(named({ criterion: oneOf(EXIT_CRITERIA), threshold: notNegative(), wake: v.exactOptional(notNegative()) })),
  onExhausted: v.exactOptional(oneOf(ON_EXHAUSTED)),
});

/** What `keyBudget` gave for a key, however it came. @throws {TypeError} naming the field that is wrong */
export function checkKeyBudget(given: unknown): Budget | undefined {
  return given === undefined ? undefined : checkOptions("keyBudget", budgetOption, given);
}
