/**
 * One question's labels: vectors fitted to its rows, and what held-out rows say of them. How strongly the labels' own
 * texts hold is chosen by the held-out rows' surprise; they also set temperature, fit and the threshold of abstention.
 */
import { sigmoid } from "../../engine/decide/probabilities.ts";
import { fitLogistic, type Example } from "../decision-eval/metrics/logistic.ts";
import { outOfScopeRecall } from "../decision-eval/metrics/out-of-scope.ts";
import { fitTemperature, surprise, type ScoredRow } from "../decision-eval/metrics/temperature.ts";
import type { RegressionFactory } from "../../wasm/regression.ts";
import { foldsOf } from "./folds.ts";
import { scoresOf, softmaxRegression, untrained, type ClassWeights, type FitSoftmax } from "./softmax-regression.ts";

export interface LabelRow {
  readonly input: string;
  readonly features: Float32Array;
  /** Class, or undefined where none fits. */
  readonly target: number | undefined;
}

export interface LabelProblem {
  readonly rows: readonly LabelRow[];
  readonly prior: readonly Float32Array[];
  readonly scale: number;
}

/** A row, as vectors fitted without it score it. */
export interface HeldOutRow {
  readonly scores: readonly number[];
  readonly target: number | undefined;
}

export interface FittedLabels {
  readonly weights: ClassWeights;
  readonly strength: number;
  readonly temperature: number;
  readonly fit: { readonly slope: number; readonly intercept: number };
  /** Fit below which no label fits. */
  readonly threshold: number;
  readonly heldOut: readonly HeldOutRow[];
  /** Rows as the labels' texts alone score them. */
  readonly before: readonly HeldOutRow[];
  readonly folds: number;
}

/** Strengths that are tried, from "what the texts mean" to "what the rows say". */
export const STRENGTHS = [0.1, 0.03, 0.01, 0.003, 0.001] as const;

/** Accuracy that abstaining may cost on rows that a label fits, 0..1. */
const MOST_LOSS = 0.03;

/**
 * @param problem with rows of two classes or more
 * @param onFit called after each of `fitCount` fits
 */
export function fitLabels(problem: LabelProblem, createProducts: RegressionFactory, onFit: () => void = () => undefined): FittedLabels {
  const { rows } = problem;
  const { count, folds } = foldsOf(rows);
  const byStrength = STRENGTHS.map((): HeldOutRow[] => []);
  for (let fold = 0; fold < count; fold++) {
    const fit = regressionOver(problem, (i) => folds[i] !== fold, createProducts);
    let weights: ClassWeights | undefined;
    for (const [s, strength] of STRENGTHS.entries()) {
      const fitted = (weights = fit(strength, weights));
      rows.forEach(({ features, target }, i) => {
        if (folds[i] === fold) byStrength[s]![i] = { scores: scoresOf(features, fitted), target };
      });
      onFit();
    }
  }
  const best = bestStrength(byStrength.map(inScope));
  const heldOut = byStrength[best]!;
  const weights = regressionOver(problem, () => true, createProducts)(STRENGTHS[best]!);
  onFit();
  const alone = untrained(problem);
  const before = rows.map(({ features, target }): HeldOutRow => ({ scores: scoresOf(features, alone), target }));
  const fit = fitOf(heldOut);
  const threshold = thresholdOf(heldOut, fit);
  return {
    weights,
    strength: STRENGTHS[best]!,
    temperature: fitTemperature(inScope(heldOut)),
    fit,
    threshold,
    heldOut,
    before,
    folds: count,
  };
}

/** Fits that `fitLabels` makes of so many rows. */
export function fitCount(problem: LabelProblem): number {
  return foldsOf(problem.rows).count * STRENGTHS.length + 1;
}

/** Over rows that some label fits; without any, the prior stays. */
function regressionOver(problem: LabelProblem, isTaken: (row: number) => boolean, createProducts: RegressionFactory): FitSoftmax {
  const taken = problem.rows.flatMap(({ features, target }, i) => (target !== undefined && isTaken(i) ? [{ features, target }] : []));
  if (taken.length === 0) return () => untrained(problem);
  const features = taken.map((row) => row.features);
  return softmaxRegression({ ...problem, features, classes: taken.map(({ target }) => target) }, createProducts);
}

function inScope(rows: readonly HeldOutRow[]): ScoredRow[] {
  return rows.flatMap(({ scores, target }) => (target === undefined ? [] : [{ scores, gold: target }]));
}

/** Least surprise at its own best temperature; of equals the one closer to the texts. */
function bestStrength(byStrength: readonly (readonly ScoredRow[])[]): number {
  const surprises = byStrength.map((rows) => surprise(rows, fitTemperature(rows)));
  return surprises.indexOf(Math.min(...surprises));
}

/** How surely a label fits, by its score alone: right labels fit; the best wrong one does not, nor any where none fits. */
function fitOf(heldOut: readonly HeldOutRow[]): FittedLabels["fit"] {
  const examples = heldOut.flatMap(({ scores, target }): Example[] => {
    const others = scores.filter((_, c) => c !== target);
    const wrong = others.length === 0 ? [] : [{ features: [Math.max(...others) / UNIT], isRight: false }];
    return target === undefined ? wrong : [{ features: [scores[target]! / UNIT], isRight: true }, ...wrong];
  });
  const [intercept = 0, slope = 0] = fitLogistic(examples);
  return { slope: slope / UNIT, intercept };
}

/** Scores are of the order of 10. */
const UNIT = 10;

/** @returns the highest fit below which no more than `MOST_LOSS` of the accuracy is refused */
function thresholdOf(heldOut: readonly HeldOutRow[], { slope, intercept }: FittedLabels["fit"]): number {
  const rows = heldOut.map(({ scores, target }) => {
    const best = Math.max(...scores);
    return { witness: sigmoid(slope * best + intercept), isRight: target === undefined ? undefined : scores.indexOf(best) === target };
  });
  return Math.min(1, outOfScopeRecall(rows, MOST_LOSS).threshold);
}
