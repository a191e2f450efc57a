/**
 * What depth an accuracy takes by a model card's table: what `min_quality` asks for in terms that a budget can keep. Pure.
 */
import { FathomError } from "../errors.ts";

/** Accuracy of a task by iterations, as a card has it. */
export interface QualityRow {
  /** Problems asked. */
  readonly n: number;
  readonly level?: number | undefined;
  /** The hardest level seen in training. */
  readonly trainedTo?: number | undefined;
  /** Iterations -> share answered exactly, without early exit. */
  readonly accuracy: Readonly<Record<string, number>>;
  /** Share answered exactly under the card's own exit rule. */
  readonly withExit?: { readonly accuracy: number } | undefined;
}

interface QualityPoint {
  readonly iterations: number;
  /** Share answered exactly, 0..1, over all tasks that the model was trained for. */
  readonly accuracy: number;
}

/** Accuracy in the mean over a table's problems, those harder than any in training left out; NaN where a row has none. */
function meanAccuracy(rows: readonly QualityRow[], accuracyOf: (row: QualityRow) => number | undefined): number {
  const own = rows.filter(({ level = 0, trainedTo = Infinity }) => level <= trainedTo);
  return own.reduce((sum, row) => sum + row.n * (accuracyOf(row) ?? NaN), 0) / own.reduce((sum, { n }) => sum + n, 0);
}

/** Depths that every task was measured at; shallowest first. */
function qualityByDepth(rows: readonly QualityRow[]): QualityPoint[] {
  return [...new Set(rows.flatMap(({ accuracy }) => Object.keys(accuracy)))]
    .map((depth) => ({ iterations: Number(depth), accuracy: meanAccuracy(rows, ({ accuracy }) => accuracy[depth]) }))
    .filter(({ accuracy }) => !Number.isNaN(accuracy))
    .toSorted((a, b) => a.iterations - b.iterations);
}

/** Whether the card's own exit rule was measured to reach an accuracy. */
export function exitReaches(rows: readonly QualityRow[], minQuality: number): boolean {
  return meanAccuracy(rows, ({ withExit }) => withExit?.accuracy) >= minQuality;
}

/**
 * The fewest iterations that reach an accuracy.
 * @throws {FathomError} invalid_request where no depth does, or no table says
 */
export function iterationsForQuality(rows: readonly QualityRow[], minQuality: number): number {
  const table = qualityByDepth(rows);
  const found = table.find(({ accuracy }) => accuracy >= minQuality);
  if (found !== undefined) return found.iterations;
  const best = Math.max(...table.map(({ accuracy }) => accuracy));
  throw new FathomError(
    "invalid_request",
    table.length === 0
      ? "min_quality needs a table of accuracy by depth, and the model's card has none for such requests; leave it out."
      : `min_quality must be at most ${Math.floor(best * 1000) / 1000}, what the model reaches by its card, not ${minQuality}.`,
    "budget.min_quality",
  );
}
