/**
 * How good decisions are: the metrics of one group of outcomes, each with its 95 % interval. Accuracy, F1, Brier score,
 * calibration and risk are of rows that something fits; recall is of those that nothing does.
 */
import { bootstrap } from "./metrics/bootstrap.ts";
import { brier } from "./metrics/brier.ts";
import { calibrationError, type Judged } from "./metrics/calibration-error.ts";
import { macroF1 } from "./metrics/macro-f1.ts";
import { outOfScopeRecall } from "./metrics/out-of-scope.ts";
import { riskCoverageArea } from "./metrics/risk-coverage.ts";
import { wilson, type Interval } from "./metrics/wilson.ts";
import { inFixedOrder, inScope, type Outcome } from "./outcomes.ts";

export interface Estimate extends Interval {
  readonly value: number;
}

export interface DecisionSummary {
  /** Rows that something fits. */
  readonly n: number;
  readonly accuracy: Estimate;
  readonly macroF1: Estimate;
  readonly brier: Estimate;
  /** Calibration error of the probability of the answer. */
  readonly ece: Estimate;
  readonly aurc: Estimate;
  /** Figures of refusing; undefined where something fits every row. */
  readonly outOfScope: OutOfScopeSummary | undefined;
  readonly meanIterations: number;
  readonly msPerDecision: number;
}

export interface OutOfScopeSummary {
  /** Rows that nothing fits. */
  readonly n: number;
  /** Found by the best option's fit, at an accuracy lost of at most 3 points. */
  readonly byFit: Estimate;
  /** Found by the answer's probability, at the same price. */
  readonly byProbability: Estimate;
  /** Fit below which answers are refused. */
  readonly fitThreshold: number;
}

export interface SummaryOptions {
  /** Samples of each interval that is drawn. [default 1000] */
  readonly samples?: number;
  /** [default 0] */
  readonly seed?: number;
}

/** @param outcomes of one task, or of all, at one depth */
export function summariseDecisions(outcomes: readonly Outcome[], options: SummaryOptions = {}): DecisionSummary {
  const ordered = inFixedOrder(outcomes);
  const scoped = inScope(ordered);
  const right = scoped.filter(({ isRight }) => isRight).length;
  const judged = scoped.map((outcome): Judged => ({ confidence: largest(outcome), isRight: outcome.isRight }));
  const pairs = scoped.map(({ row: { task, labels }, gold, answer }) => ({
    gold: `${task} ${labels[gold]}`,
    answer: `${task} ${labels[answer]}`,
  }));
  const drawn = <T>(rows: readonly T[], metric: (sample: readonly T[]) => number): Estimate => estimate(rows, metric, options);
  return {
    n: scoped.length,
    accuracy: { value: right / scoped.length, ...wilson(right, scoped.length) },
    macroF1: drawn(pairs, macroF1),
    brier: drawn(scoped, brier),
    ece: drawn(judged, (sample) => calibrationError(sample)),
    aurc: drawn(judged, riskCoverageArea),
    outOfScope: outOfScopeOf(ordered),
    meanIterations: mean(ordered.map(({ iterations }) => iterations)),
    msPerDecision: mean(ordered.map(({ ms }) => ms)),
  };
}

/**
 * A metric with its drawn interval, which holds the value: samples of calibration errors are larger than that of all rows,
 * so that the middle of them may not.
 */
export function estimate<T>(rows: readonly T[], metric: (sample: readonly T[]) => number, options: SummaryOptions): Estimate {
  const value = metric(rows);
  const { low, high } = bootstrap(rows, metric, options);
  return { value, low: Math.min(low, value), high: Math.max(high, value) };
}

function outOfScopeOf(outcomes: readonly Outcome[]): OutOfScopeSummary | undefined {
  const asked = outcomes.filter(({ row }) => row.question.kind !== "predicate");
  const n = asked.filter(({ row }) => row.gold === undefined).length;
  if (n === 0) return undefined;
  const isRight = ({ row: { gold }, answer }: Outcome): boolean | undefined => (gold === undefined ? undefined : gold === answer);
  const by = (witness: (outcome: Outcome) => number): ReturnType<typeof outOfScopeRecall> =>
    outOfScopeRecall(asked.map((outcome) => ({ witness: witness(outcome), isRight: isRight(outcome) })));
  const found = (recall: number): Estimate => ({ value: recall, ...wilson(Math.round(recall * n), n) });
  const [byFit, byProbability] = [by(({ fit }) => fit), by(largest)];
  return { n, byFit: found(byFit.recall), byProbability: found(byProbability.recall), fitThreshold: byFit.threshold };
}

export function largest({ probabilities }: Outcome): number {
  return Math.max(...probabilities);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
