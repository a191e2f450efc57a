/**
 * AURC: the share of wrong answers among the surest ones, averaged over how many of them are answered (Geifman et al.
 * 2019, arXiv 1805.08206). 0 where every answer is right; lower is better. Looks at the order of confidences alone. Pure.
 */
import type { Judged } from "./calibration-error.ts";

/** Rows of equal confidence count as in any order, on average. NaN without rows. */
export function riskCoverageArea(rows: readonly Judged[]): number {
  const sorted = rows.toSorted((a, b) => b.confidence - a.confidence);
  let [area, answered, wrong] = [0, 0, 0];
  for (let from = 0; from < sorted.length;) {
    let end = from;
    let wrongHere = 0;
    while (end < sorted.length && sorted[end]!.confidence === sorted[from]!.confidence) wrongHere += Number(!sorted[end++]!.isRight);
    const rate = wrongHere / (end - from);
    for (let i = 1; i <= end - from; i++) area += (wrong + rate * i) / (answered + i);
    answered += end - from;
    wrong += wrongHere;
    from = end;
  }
  return area / sorted.length;
}
