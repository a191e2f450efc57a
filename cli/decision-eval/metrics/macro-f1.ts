/**
 * Macro-F1: the mean over labels of the harmonic mean of precision and recall, so that a rare label counts as much as a
 * common one. Pure.
 */

export interface LabelPair {
  readonly gold: string;
  readonly answer: string;
}

/**
 * Over all labels that are gold or answered somewhere; NaN without rows.
 * @example macroF1([{ gold: "a", answer: "a" }, { gold: "b", answer: "a" }]) // (2/3 + 0) / 2
 */
export function macroF1(pairs: readonly LabelPair[]): number {
  const counts = new Map<string, { right: number; gold: number; answered: number }>();
  const of = (label: string): { right: number; gold: number; answered: number } => {
    const found = counts.get(label) ?? { right: 0, gold: 0, answered: 0 };
    counts.set(label, found);
    return found;
  };
  for (const { gold, answer } of pairs) {
    of(gold).gold++;
    of(answer).answered++;
    if (gold === answer) of(gold).right++;
  }
  const scores = Array.from(counts.values(), ({ right, gold, answered }) => (2 * right) / (gold + answered)).sort((a, b) => a - b);
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}
