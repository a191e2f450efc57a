/**
 * Which rows are held out together: each label's rows are spread over all folds, and equal inputs stay in one, as a row
 * that was seen would judge itself. By the rows' order, without chance.
 */

export interface Foldable {
  readonly input: string;
  /** Class, or undefined where none fits. */
  readonly target: number | undefined;
}

/** Folds for so many rows: more cost more, and many rows need fewer. */
function foldCount(rows: number): number {
  return rows > 2000 ? 3 : 5;
}

/** @returns each row's fold; as many folds as there are different inputs, where those are few */
export function foldsOf(rows: readonly Foldable[]): { readonly count: number; readonly folds: readonly number[] } {
  const byInput = new Map<string, number>();
  const taken = new Map<number | undefined, number>();
  const inputs = new Set(rows.map(({ input }) => input)).size;
  const count = Math.min(foldCount(rows.length), inputs);
  for (const { input, target } of rows) {
    if (byInput.has(input)) continue;
    const before = taken.get(target) ?? (target ?? 0) % count; // labels of one row each are not all in the first fold
    taken.set(target, before + 1);
    byInput.set(input, before % count);
  }
  return { count, folds: rows.map(({ input }) => byInput.get(input)!) };
}
