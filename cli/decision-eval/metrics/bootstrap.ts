/**
 * Intervals of metrics that have no formula for them: the metric of many samples drawn with replacement, the middle 95 %
 * of it. Seeded: the same rows in the same order have the same interval. Pure.
 */
import { uniform } from "../../../engine/random.ts";
import type { Interval } from "./wilson.ts";

export interface BootstrapOptions {
  /** Samples. [default 1000] */
  readonly samples?: number;
  /** [default 0] */
  readonly seed?: number;
}

/** @param metric of rows; samples for which it is NaN are left out */
export function bootstrap<T>(
  rows: readonly T[],
  metric: (sample: readonly T[]) => number,
  { samples = 1000, seed = 0 }: BootstrapOptions = {},
): Interval {
  const values: number[] = [];
  for (let sample = 0; sample < samples; sample++) {
    const value = metric(rows.map((_, i) => rows[Math.floor(uniform(seed, sample, i) * rows.length)]!));
    if (!Number.isNaN(value)) values.push(value);
  }
  values.sort((a, b) => a - b);
  const at = (share: number): number => values[Math.round(share * (values.length - 1))] ?? NaN;
  return { low: at(0.025), high: at(0.975) };
}
