/**
 * Expected calibration error: how far confidence is from the share that was right, over bins of equal width (Guo et al.
 * 2017, arXiv 1706.04599). Pure.
 */

export interface Judged {
  /** Higher is surer; for calibration a probability. */
  readonly confidence: number;
  readonly isRight: boolean;
}

/**
 * 0 to 1; NaN without rows.
 * @param bins [default 15]
 * @example calibrationError([{ confidence: 0.9, isRight: true }, { confidence: 0.9, isRight: false }]) // 0.4
 */
export function calibrationError(rows: readonly Judged[], bins = 15): number {
  const held = Array.from({ length: bins }, (): { confidences: number[]; right: number } => ({ confidences: [], right: 0 }));
  for (const { confidence, isRight } of rows) {
    const bin = held[Math.min(bins - 1, Math.floor(confidence * bins))]!;
    bin.confidences.push(confidence);
    bin.right += Number(isRight);
  }
  const gap = held.reduce((sum, { confidences, right }) => {
    const total = confidences.sort((a, b) => a - b).reduce((all, value) => all + value, 0);
    return sum + Math.abs(total - right);
  }, 0);
  return gap / rows.length;
}
