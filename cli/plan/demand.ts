/**
 * What a request asks of an isolate, from the model's card: CPU milliseconds of the usual request and of a slow one, how
 * deep and how long a request may be within a time. Pure; the numbers behind it are measured by `fathom calibrate` and
 * `fathom eval --card`.
 */
import { calibrationFor, type Calibration } from "../../engine/budget/calibration.ts";
import { costModel } from "../../engine/budget/cost.ts";
import { callUnits } from "../../engine/budget/plan.ts";
import type { ModelCard } from "../../engine/model/card.ts";
import type { ModelConfig } from "../../engine/model/config.ts";

/** A request's shape: what callers send, and how deep the model thinks about it. */
export interface RequestShape {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Core iterations of a row of the usual request. */
  readonly iterations: number;
  /** Core iterations of a row of a hard one. */
  readonly hardIterations: number;
}

/** Iterations that the card measured under its exit rule: mean over its tasks, and the hardest task's mean. */
export function measuredIterations({ quality, iterations }: ModelCard): Pick<RequestShape, "iterations" | "hardIterations"> {
  const rows = quality.flatMap(({ n, withExit }) => (withExit === undefined ? [] : [{ n, mean: withExit.meanIterations }]));
  const asked = rows.reduce((sum, { n }) => sum + n, 0);
  if (asked === 0) return { iterations, hardIterations: iterations };
  return {
    iterations: rows.reduce((sum, { n, mean }) => sum + n * mean, 0) / asked,
    hardIterations: Math.max(...rows.map(({ mean }) => mean)),
  };
}

export interface Demand {
  /** CPU milliseconds of the usual request: at the median rate. */
  readonly usualMs: number;
  /** CPU milliseconds of a hard request at the rate that 95 % of requests stay below. */
  readonly slowMs: number;
  readonly calibration: Calibration;
  /** CPU milliseconds at the careful rate of a request of another shape. */
  slowMsOf(shape: Omit<RequestShape, "iterations">): number;
}

/**
 * CPU time of requests to a model.
 * @param cpuFactor how many times as long as on the calibrated host a Worker takes [default 1]
 */
export function demandOf(card: ModelCard, config: ModelConfig, shape: RequestShape, backend = "wasm", cpuFactor = 1): Demand {
  const calibration = calibrationFor(backend, card.calibration);
  const cost = costModel(config, calibration.weights);
  const { msPerUnit, overheadMs } = calibration;
  const units = (promptTokens: number, completionTokens: number, iterations: number): number => {
    const call = (rows: number, context: number): number => callUnits(cost, rows, context, iterations, card.exitRule.criterion);
    let sum = call(promptTokens, promptTokens);
    for (let token = 1; token < completionTokens; token++) sum += call(1, promptTokens + token);
    return sum;
  };
  const ms = (work: number, rate: number): number => cpuFactor * (overheadMs + work * rate);
  const slowMsOf = ({ promptTokens, completionTokens, hardIterations }: Omit<RequestShape, "iterations">): number =>
    ms(units(promptTokens, completionTokens, hardIterations), msPerUnit.p95);
  const usualRate = calibration.samples === 0 ? msPerUnit.p95 : msPerUnit.p50; // what nobody measured is taken carefully
  return {
    usualMs: ms(units(shape.promptTokens, shape.completionTokens, shape.iterations), usualRate),
    slowMs: slowMsOf(shape),
    calibration,
    slowMsOf,
  };
}

/** The largest whole number from 1 to `most` for which a growing time stays within a limit; 0 where none does. */
export function largestWithin(most: number, limitMs: number, msOf: (n: number) => number): number {
  let [fits, tooMuch] = [0, most + 1];
  while (tooMuch - fits > 1) {
    const middle = Math.floor((fits + tooMuch) / 2);
    if (msOf(middle) <= limitMs) fits = middle;
    else tooMuch = middle;
  }
  return fits;
}
