/**
 * Makes label vectors of labelled questions: features by the base's frozen states, then one fit a question.
 */
import { inputVectors, matchOf, optionVectors } from "../../engine/decide/features.ts";
import { wordingOf } from "../../engine/decide/wording.ts";
import type { Model } from "../../engine/port/model.ts";
import type { RegressionFactory } from "../../wasm/regression.ts";
import { withProgress } from "../progress.ts";
import { fitCount, fitLabels, type FittedLabels, type LabelProblem } from "./fit-labels.ts";
import type { LabelledQuestion } from "./lines.ts";

/**
 * Buckets of words. Of few-shot rows of 64 intents, 1,024 lose half a point of accuracy against 4,096, and make a folder of
 * a quarter of the size.
 */
const WORDING_SIZE = 1024;

export interface TrainedQuestion extends LabelledQuestion, FittedLabels {}

/** @throws {FathomError} invalid_request where the base has no match, or a text is too long for it */
export async function trainLabels(
  base: Model,
  questions: readonly LabelledQuestion[],
  createProducts: RegressionFactory,
): Promise<TrainedQuestion[]> {
  const { scale } = matchOf(base);
  const rows = questions.flatMap((question) => question.rows);
  const vectors = await withProgress(rows.length, "texts read", (step) => inputVectors(base, rows, step));
  let at = 0;
  const problems: LabelProblem[] = [];
  for (const { kind, texts, rows: own } of questions) {
    const features = vectors.slice(at, (at += own.length));
    const prior = kind === "predicate" ? texts.map(() => new Float32Array(features[0]!.length)) : await optionVectors(base, texts);
    problems.push({
      rows: own.map(({ input, target }, i) => ({ input, target, features: features[i]!, wording: wordingVector(input) })),
      prior,
      scale,
    });
  }
  const fits = problems.reduce((sum, problem) => sum + fitCount(problem), 0);
  return withProgress(fits, "fits", (step) =>
    questions.map((question, q) => ({ ...question, ...fitLabels(problems[q]!, createProducts, step) })),
  );
}

function wordingVector(text: string): Float32Array {
  const { buckets, values } = wordingOf(text, WORDING_SIZE);
  const vector = new Float32Array(WORDING_SIZE);
  buckets.forEach((bucket, i) => (vector[bucket] = values[i]!));
  return vector;
}
