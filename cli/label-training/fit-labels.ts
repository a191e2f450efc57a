/**
 * One question's labels: vectors fitted to its rows, and what held-out rows say of them. Two fits are added up, one over
 * what inputs mean and one over their words, as they err differently. How strongly the rows pull, how much the labels' own
 * texts count and how much the words do is chosen by held-out rows' surprise; they also set temperature, fit and the
 * threshold of abstention.
 */
import { sigmoid } from "../../engine/decide/probabilities.ts";
import type { RegressionFactory } from "../../wasm/regression.ts";
import { fitLogistic, type Example } from "../decision-eval/metrics/logistic.ts";
import { outOfScopeRecall } from "../decision-eval/metrics/out-of-scope.ts";
import { fitTemperature, surprise, type ScoredRow } from "../decision-eval/metrics/temperature.ts";
import { foldsOf } from "./folds.ts";
import { scoresOf, softmaxRegression, untrained, type ClassWeights, type FitSoftmax } from "./softmax-regression.ts";

export interface LabelRow {
  readonly input: string;
  readonly features: Float32Array;
  /** The input's words in buckets, of length 1. */
  readonly wording: Float32Array;
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

/** How labels are fitted; chosen by held-out rows. */
export interface LabelSettings {
  /** Pull to the prior of all rows together, in weights that make logits. */
  readonly strength: number;
  /** Share of the match of the labels' own texts that the prior is, 0..1. */
  readonly meaning: number;
  /** Weight of the scores by words beside those by meaning; 0: words say nothing. */
  readonly wording: number;
}

export interface FittedLabels {
  readonly weights: ClassWeights;
  /** Weights of words, by label; undefined where they say nothing. */
  readonly wording: readonly Float32Array[] | undefined;
  readonly settings: LabelSettings;
  readonly temperature: number;
  readonly fit: { readonly slope: number; readonly intercept: number };
  /** Fit below which no label fits. */
  readonly threshold: number;
  readonly heldOut: readonly HeldOutRow[];
  /** Rows as the labels' texts alone score them. */
  readonly before: readonly HeldOutRow[];
  readonly folds: number;
}

/** Values that are tried, and what is taken where no row can tell. Many rows need less of all, and cost more. */
const STRENGTHS = { few: [0.2, 0.05], many: [0.05], unsaid: 0.2 };
const MEANINGS = { few: [0, 0.2, 0.4], many: [0, 0.4], unsaid: 0.4 };
const WORDINGS = { tried: [0, 0.25, 0.5, 0.75, 1], unsaid: 0.25 };
const MANY_ROWS = 2000;
/** Fewest held-out rows, each of a label that other rows show, by which settings are chosen. */
const FEWEST_JUDGES = 10;
/** Steps of the search for a temperature while settings are compared. */
const COARSE_STEPS = 12;
/** Words have many weights and no prior: a light pull, as a bag of words alone does best with. */
const WORDING_STRENGTH = 0.05;

/** Accuracy that abstaining may cost on rows that a label fits, 0..1. */
const MOST_LOSS = 0.03;

/** One way to fit meaning, and every row scored by fits without it. */
interface Trial {
  readonly strength: number;
  readonly meaning: number;
  readonly scores: (readonly number[])[];
}

/**
 * @param problem with rows of two classes or more
 * @param onFit called after each of `fitCount` fits
 */
export function fitLabels(problem: LabelProblem, createProducts: RegressionFactory, onFit: () => void = () => undefined): FittedLabels {
  const { rows } = problem;
  const { count, folds } = foldsOf(rows);
  const trials = trialsOf(problem);
  const byWords: (readonly number[])[] = [];
  for (let fold = 0; fold < count; fold++) {
    const isTaken = (row: number): boolean => folds[row] !== fold;
    const held = rows.flatMap((row, i) => (isTaken(i) ? [] : [{ row, i }]));
    fitTrials(problem, trials, isTaken, createProducts, (trial, weights) => {
      for (const { row, i } of held) trial.scores[i] = scoresOf(row.features, weights);
      onFit();
    });
    const words = wordsOver(problem, isTaken, createProducts)(strengthOf(WORDING_STRENGTH, rows.length, problem.scale));
    for (const { row, i } of held) byWords[i] = scoresOf(row.wording, words);
    onFit();
  }
  const { trial, wording } = choose(problem, folds, trials, byWords);
  const settings: LabelSettings = { strength: trial.strength, meaning: trial.meaning, wording };
  const heldOut = rows.map(({ target }, i): HeldOutRow => ({ scores: added(trial.scores[i]!, byWords[i]!, wording), target }));
  const fitted = fitWhole(problem, settings, createProducts, onFit);
  const alone = untrained(problem);
  const before = rows.map(({ features, target }): HeldOutRow => ({ scores: scoresOf(features, alone), target }));
  const fit = fitOf(heldOut);
  const threshold = thresholdOf(heldOut, fit);
  return { ...fitted, settings, temperature: fitTemperature(inScope(heldOut)), fit, threshold, heldOut, before, folds: count };
}

/** Fits that `fitLabels` makes of so many rows. */
export function fitCount(problem: LabelProblem): number {
  return foldsOf(problem.rows).count * (trialsOf(problem).length + 1) + 2;
}

function trialsOf({ rows, prior }: LabelProblem): Trial[] {
  const amount = rows.length > MANY_ROWS ? "many" : "few";
  const says = prior.some((vector) => vector.some((value) => value !== 0));
  return (says ? MEANINGS[amount] : [0]).flatMap((meaning) => STRENGTHS[amount].map((strength) => ({ strength, meaning, scores: [] })));
}

/** Fits every trial over the rows taken, each beginning from the one before where the prior is the same. */
function fitTrials(
  problem: LabelProblem,
  trials: readonly Trial[],
  isTaken: (row: number) => boolean,
  createProducts: RegressionFactory,
  use: (trial: Trial, weights: ClassWeights) => void,
): void {
  let last: { readonly meaning: number; readonly fit: FitSoftmax; weights?: ClassWeights } | undefined;
  for (const trial of trials) {
    if (last?.meaning !== trial.meaning)
      last = { meaning: trial.meaning, fit: meaningOver(problem, trial.meaning, isTaken, createProducts) };
    last.weights = last.fit(strengthOf(trial.strength, problem.rows.length, problem.scale), last.weights);
    use(trial, last.weights);
  }
}

/** A pull on weights that make logits, as one on those before `scale` beside the rows' mean. */
function strengthOf(strength: number, rows: number, scale: number): number {
  return (strength * scale ** 2) / rows;
}

/** Over rows that some label fits; without any, the prior stays. */
function meaningOver(
  problem: LabelProblem,
  meaning: number,
  isTaken: (row: number) => boolean,
  createProducts: RegressionFactory,
): FitSoftmax {
  const prior = problem.prior.map((vector) => vector.map((value) => meaning * value));
  const taken = takenRows(problem, isTaken);
  if (taken.length === 0) return () => untrained({ ...problem, prior });
  const features = taken.map((row) => row.features);
  return softmaxRegression({ scale: problem.scale, prior, features, classes: taken.map(({ target }) => target) }, createProducts);
}

function wordsOver(problem: LabelProblem, isTaken: (row: number) => boolean, createProducts: RegressionFactory): FitSoftmax {
  const { prior: classes, rows, scale } = problem;
  const prior = classes.map(() => new Float32Array(rows[0]!.wording.length));
  const taken = takenRows(problem, isTaken);
  if (taken.length === 0) return () => untrained({ prior, scale });
  const features = taken.map((row) => row.wording);
  return softmaxRegression({ scale, prior, features, classes: taken.map(({ target }) => target) }, createProducts);
}

function takenRows({ rows }: LabelProblem, isTaken: (row: number) => boolean): (LabelRow & { readonly target: number })[] {
  return rows.flatMap((row, i) => (row.target !== undefined && isTaken(i) ? [{ ...row, target: row.target }] : []));
}

/** The trial and the weight of words with the least surprise, each at its own best temperature; of equals the first. */
function choose(
  { rows }: LabelProblem,
  folds: readonly number[],
  trials: readonly Trial[],
  byWords: readonly (readonly number[])[],
): { readonly trial: Trial; readonly wording: number } {
  const judges = judgesOf(rows, folds);
  if (judges.length < FEWEST_JUDGES) {
    const nearest = trials.toSorted((a, b) => distance(a) - distance(b))[0]!;
    return { trial: nearest, wording: WORDINGS.unsaid };
  }
  let best: { readonly trial: Trial; readonly wording: number; readonly nats: number } | undefined;
  for (const trial of trials)
    for (const wording of WORDINGS.tried) {
      const scored = judges.map(({ gold, i }): ScoredRow => ({ gold, scores: added(trial.scores[i]!, byWords[i]!, wording) }));
      const nats = surprise(scored, fitTemperature(scored, COARSE_STEPS));
      if (best === undefined || nats < best.nats) best = { trial, wording, nats };
    }
  return best!;
}

/** Rows whose label other folds show too: the rest say only what a label's text is worth alone. Of very many, evenly some. */
function judgesOf(rows: readonly LabelRow[], folds: readonly number[]): { readonly gold: number; readonly i: number }[] {
  const shown = new Map<number, Set<number>>();
  rows.forEach(({ target }, i) => {
    if (target !== undefined) shown.set(target, (shown.get(target) ?? new Set()).add(folds[i]!));
  });
  const judges = rows.flatMap(({ target }, i) => (target !== undefined && shown.get(target)!.size > 1 ? [{ gold: target, i }] : []));
  const every = Math.ceil(judges.length / MANY_ROWS);
  return judges.filter((_, n) => n % every === 0);
}

function distance({ strength, meaning }: Trial): number {
  return Math.abs(Math.log(strength / STRENGTHS.unsaid)) + Math.abs(meaning - MEANINGS.unsaid);
}

function added(meaning: readonly number[], words: readonly number[], wording: number): number[] {
  return meaning.map((score, c) => score + wording * words[c]!);
}

/** Over all rows; the bias of the words joins that of the meaning. */
function fitWhole(
  problem: LabelProblem,
  { strength, meaning, wording }: LabelSettings,
  createProducts: RegressionFactory,
  onFit: () => void,
): Pick<FittedLabels, "weights" | "wording"> {
  const { rows, scale } = problem;
  const every = (): boolean => true;
  const weights = meaningOver(problem, meaning, every, createProducts)(strengthOf(strength, rows.length, scale));
  onFit();
  const words = wordsOver(problem, every, createProducts)(strengthOf(WORDING_STRENGTH, rows.length, scale));
  onFit();
  if (wording === 0) return { weights, wording: undefined };
  return {
    weights: { ...weights, biases: weights.biases.map((bias, c) => bias + wording * words.biases[c]!) },
    wording: words.vectors.map((vector) => vector.map((value) => wording * value)),
  };
}

function inScope(rows: readonly HeldOutRow[]): ScoredRow[] {
  return rows.flatMap(({ scores, target }) => (target === undefined ? [] : [{ scores, gold: target }]));
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
