/**
 * Kinds of values that a card's fields have: numbers in their ranges, exit rules. Not here: the fields (card.ts).
 */
import * as v from "valibot";
import { EXIT_CRITERIA, type ExitCriterion } from "../exit-rule.ts";
import { LARGEST } from "./fields/config.ts";

/** Largest numbers of a card; larger ones are not cards but mistakes. */
export const MOST = { iterations: LARGEST.iterations, tokens: LARGEST.context } as const;

export const whole = (min: number, max: number = Number.MAX_SAFE_INTEGER) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(min), v.maxValue(max));
export const count = whole(1);
export const iterations = whole(1, MOST.iterations);
export const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
export const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
export const notNegative = v.pipe(v.number(), v.finite(), v.minValue(0));

const ruleEntries = { criterion: v.picklist(EXIT_CRITERIA), threshold: notNegative, wake: v.optional(notNegative) };

const WAKE_IS_REST_WAKES = "only rest-wake has a wake";

function isWakeFitting({ criterion, wake }: { criterion: ExitCriterion; wake?: number | undefined }): boolean {
  return wake === undefined || criterion === "rest-wake";
}

/** An exit rule that was measured. */
export const measuredExitSchema = v.pipe(
  v.strictObject(ruleEntries),
  v.check((rule) => isWakeFitting(rule), WAKE_IS_REST_WAKES),
);

/** An exit rule to think by. */
export const exitSchema = v.pipe(
  v.strictObject({ ...ruleEntries, minIterations: v.optional(whole(0, MOST.iterations), 0) }),
  v.check((rule) => isWakeFitting(rule), WAKE_IS_REST_WAKES),
);
