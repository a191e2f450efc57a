/**
 * How many questions that nothing fits are found by refusing answers below a threshold, where that may cost only so much
 * accuracy on the others. Pure.
 */

export interface Scoped {
  /** Number below whose threshold the answer is refused. */
  readonly witness: number;
  /** Whether the answer was right; undefined where no option fits. */
  readonly isRight: boolean | undefined;
}

export interface OutOfScope {
  /** Share of the rows that nothing fits that are refused. */
  readonly recall: number;
  /** Witness below which answers are refused. */
  readonly threshold: number;
  /** Accuracy lost on rows that something fits, 0..1: right answers refused. */
  readonly loss: number;
}

/**
 * Recall of refusing by the highest threshold that loses no more than it may, and that loss; recall is NaN where no row
 * is out of scope.
 * @param mostLoss accuracy that may be lost, 0..1 [default 3 points]
 */
export function outOfScopeRecall(rows: readonly Scoped[], mostLoss = 0.03): OutOfScope {
  const inScope = rows.filter(({ isRight }) => isRight !== undefined).length;
  const right = rows.flatMap(({ witness, isRight }) => (isRight === true ? [witness] : [])).sort((a, b) => a - b);
  const spare = Math.floor(mostLoss * inScope + ROUNDING);
  const threshold = right[spare] ?? Infinity;
  const refused = (isRight: boolean | undefined): number => rows.filter((row) => row.isRight === isRight && row.witness < threshold).length;
  return {
    recall: refused(undefined) / (rows.length - inScope),
    threshold,
    loss: inScope === 0 ? 0 : refused(true) / inScope,
  };
}

/** 3 % of 100 rows are three of them, whatever binary fractions say. */
const ROUNDING = 1e-9;
