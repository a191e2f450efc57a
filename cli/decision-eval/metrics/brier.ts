/**
 * Brier score: how far probabilities are from what was right, 0 (sure and right) to 2 (sure and wrong). Pure.
 */

export interface Forecast {
  /** Probability of each option, summing to 1; a yes-or-no question has two. */
  readonly probabilities: readonly number[];
  /** Index of the right one. */
  readonly gold: number;
}

/** Squared distances from certainty of what was right, summed over options, mean over rows; NaN without rows. */
export function brier(forecasts: readonly Forecast[]): number {
  const each = forecasts.map(({ probabilities, gold }) => probabilities.reduce((sum, p, i) => sum + (p - Number(i === gold)) ** 2, 0));
  return each.sort((a, b) => a - b).reduce((sum, value) => sum + value, 0) / each.length;
}
