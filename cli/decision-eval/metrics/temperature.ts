/**
 * The temperature at which softmax probabilities fit what was right best: a single number, which changes no answer
 * (Guo et al. 2017, arXiv 1706.04599). Pure.
 */
import { logSumExp } from "../../../engine/decide/probabilities.ts";

export interface ScoredRow {
  /** Score of each option; of a yes-or-no question 0 and its score. */
  readonly scores: readonly number[];
  /** Index of the right one. */
  readonly gold: number;
}

/** Where all answers are right, or all are noise, the best temperature has no end: it is cut here. */
const RANGE = { low: 0.05, high: 20 } as const;
/** Each narrows the range, on a logarithmic scale, by 0.618. */
const STEPS = 60;
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** Mean surprise (negative log-likelihood, nats) of what was right. NaN without rows. */
export function surprise(rows: readonly ScoredRow[], temperature: number): number {
  const each = rows.map(({ scores, gold }) => {
    const scaled = scores.map((score) => score / temperature);
    return logSumExp(scaled) - scaled[gold]!;
  });
  return each.sort((a, b) => a - b).reduce((sum, value) => sum + value, 0) / rows.length;
}

/**
 * The temperature of least surprise, 0.05 to 20; the surprise has a single minimum, as it is convex in 1 / temperature.
 * @param steps how finely; 12 find it to within a hundredth of the range, on a logarithmic scale
 */
export function fitTemperature(rows: readonly ScoredRow[], steps = STEPS): number {
  let [low, high] = [Math.log(RANGE.low), Math.log(RANGE.high)];
  for (let step = 0; step < steps; step++) {
    const [left, right] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
    if (surprise(rows, Math.exp(left)) <= surprise(rows, Math.exp(right))) high = right;
    else low = left;
  }
  return Math.exp((low + high) / 2);
}
