/**
 * Makes probabilities of fit scores. Sums are taken in the order of their values, never in that of the options, so that
 * permuted options have permuted probabilities, bit for bit. Pure.
 */

/** 1 / (1 + exp(-score)), without overflow. */
export function sigmoid(score: number): number {
  if (score >= 0) return 1 / (1 + Math.exp(-score));
  const e = Math.exp(score);
  return e / (1 + e);
}

/**
 * Softmax of scores; of equal scores equal numbers.
 * @param temperature above 1 flatter, below 1 sharper [default 1]
 * @example softmax([2, 1]) // [0.731, 0.269]
 */
export function softmax(scores: readonly number[], temperature = 1): number[] {
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((score) => Math.exp((score - largest) / temperature));
  const sum = sumByValue(weights);
  return weights.map((weight) => weight / sum);
}

/** log(sum(exp(scores))), summed in the order given. */
export function logSumExp(scores: ArrayLike<number>): number {
  let largest = -Infinity;
  for (let i = 0; i < scores.length; i++) largest = Math.max(largest, scores[i]!);
  if (!Number.isFinite(largest)) return largest;
  let sum = 0;
  for (let i = 0; i < scores.length; i++) sum += Math.exp(scores[i]! - largest);
  return largest + Math.log(sum);
}

/** The mean level index of a score. */
export function expectation(probabilities: readonly number[]): number {
  return probabilities.reduce((sum, p, level) => sum + level * p, 0);
}

/** 1 - total variation of two distributions, or of two probabilities of one event. */
export function overlap(a: readonly number[], b: readonly number[]): number {
  const differences = sumByValue(a.map((p, i) => Math.abs(p - b[i]!)));
  return 1 - (a.length === 1 ? differences : differences / 2);
}

/** Index of the largest value; of equals the one whose text comes first by UTF-16 units, of equal texts the first. */
export function bestOf(values: readonly number[], texts: readonly string[]): number {
  let best = 0;
  for (let i = 1; i < values.length; i++)
    if (values[i]! > values[best]! || (values[i] === values[best] && texts[i]! < texts[best]!)) best = i;
  return best;
}

function sumByValue(values: readonly number[]): number {
  return Float64Array.from(values)
    .sort()
    .reduce((sum, value) => sum + value, 0);
}
