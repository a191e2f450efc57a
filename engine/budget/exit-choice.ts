/**
 * Which exit rule to think by. The card's own rule is careful; among its measured rules there is a cheaper one that is
 * hardly less accurate. A budget that surely pays for the careful one gets it, any other the cheap one and a cut where
 * it ends: looser rules than that save less than they spoil (docs/budget.md). Pure.
 */
import type { ExitRule } from "../exit-rule.ts";

/** An exit rule and what it did on the card's tasks. */
export interface MeasuredExit {
  readonly exit: ExitRule;
  /** Core iterations a row, of prompts and new tokens. */
  readonly meanIterations: number;
  /** Share answered exactly, 0..1. */
  readonly accuracy: number;
}

export interface ExitChoice {
  readonly cheap: MeasuredExit;
  readonly careful: MeasuredExit;
}

/** What the cheap rule may give away; at 14 points the frontier falls, and between 1 and 2 nothing tells the rules apart. */
const LARGEST_LOSS = 0.015;

/**
 * A prompt may need so much more than the mean; at 1 the careful rule is begun too often and cut short (2 points lost
 * around the mean need), at 3 and more it is given to hardly anyone.
 */
const HEADROOM = 2;

/** Iterations that a budget must pay for, so that the careful rule is always chosen. */
export function carefulDepth({ careful }: ExitChoice): number {
  return Math.ceil(HEADROOM * careful.meanIterations);
}

/** @param own the card's rule, for requests that name none. Undefined where nothing cheaper was measured. */
export function exitChoiceOf(measuredExits: readonly MeasuredExit[], own: ExitRule): ExitChoice | undefined {
  const careful = measuredExits.find((r) => isSameRule(r.exit, own));
  if (careful === undefined) return undefined;
  const [cheap] = measuredExits
    .filter((r) => r.accuracy >= careful.accuracy - LARGEST_LOSS && r.meanIterations < careful.meanIterations)
    .toSorted((a, b) => a.meanIterations - b.meanIterations);
  return cheap && { cheap, careful };
}

function isSameRule(a: ExitRule, b: ExitRule): boolean {
  return a.criterion === b.criterion && a.threshold === b.threshold && (a.wake ?? a.threshold) === (b.wake ?? b.threshold);
}

/**
 * The rule for a call, or for the rest of it: tightens when savings allow, loosens when the prompt proves hard.
 * @param rows rows that still think
 * @param iteration iterations that they have had
 * @param rowUnits cost of one row's iteration
 * @param units what may still be spent on iterations
 */
export function chooseExit({ cheap, careful }: ExitChoice, rows: number, iteration: number, rowUnits: number, units: number): MeasuredExit {
  const expected = rows * Math.max(1, careful.meanIterations - iteration) * rowUnits;
  return HEADROOM * expected <= units ? careful : cheap;
}
