/**
 * Interval of a share by Wilson's score: honest near 0 and 1 and for few rows, where the normal one leaves [0, 1]. Pure.
 */

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Standard deviations on each side that hold 95 % of a normal distribution. */
const Z95 = 1.959963984540054;

/**
 * The 95 % interval of a share.
 * @param hits rows that count @param n all rows; without any, nothing is known: 0 to 1
 * @example wilson(8, 10) // { low: 0.490, high: 0.943 }
 */
export function wilson(hits: number, n: number): Interval {
  if (n === 0) return { low: 0, high: 1 };
  const [p, z2] = [hits / n, Z95 ** 2];
  const middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const half = (Z95 / (1 + z2 / n)) * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n * n));
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}
