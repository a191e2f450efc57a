/**
 * Multinomial logistic regression whose weights are pulled not to zero but to a prior: with few rows a class stays what
 * its text means, with many it becomes what its rows say. Deterministic. Not here: the products over rows, which are
 * handed in, and which rows to fit to (fit-labels.ts).
 */
import type { RegressionFactory } from "../../wasm/regression.ts";
import { minimise } from "./minimise.ts";

export interface SoftmaxProblem {
  /** A vector a row, [size], of length 1. */
  readonly features: readonly Float32Array[];
  /** Class of each row. */
  readonly classes: readonly number[];
  /** Weights of each class that need no rows, [size]. */
  readonly prior: readonly Float32Array[];
  /** What a dot product of 1 is in logits. */
  readonly scale: number;
}

/** A vector a class, then a bias: a row's logit is their sum of products with its features and 1. */
export interface ClassWeights {
  readonly vectors: readonly Float32Array[];
  readonly biases: readonly number[];
  /** What the search for another strength may begin from. */
  readonly point: Float64Array;
}

/** The prior alone. */
export function untrained({ prior, scale }: Pick<SoftmaxProblem, "prior" | "scale">): ClassWeights {
  return weightsAt(new Float64Array(prior.length * (prior[0]!.length + 1)), prior, scale);
}

/** Fits for one strength after the other. @param strength above 0 @param from weights of another strength, to be there sooner */
export type FitSoftmax = (strength: number, from?: ClassWeights) => ClassWeights;

/**
 * Prepares to minimise the rows' mean surprise (nats) plus strength / 2 times the squared distance from the prior, in
 * weights before `scale`.
 */
export function softmaxRegression({ features, classes, prior, scale }: SoftmaxProblem, createProducts: RegressionFactory): FitSoftmax {
  const count = prior.length;
  const products = createProducts(features.map(withOne), count);
  const known = products.logits(prior.flatMap((vector) => [...vector, 0])).slice();
  const errors = new Float32Array(features.length * count);
  return (strength, from) => {
    const start = from?.point ?? new Float64Array(count * (prior[0]!.length + 1));
    const point = minimise((at, gradient) => {
      const moved = products.logits(at);
      let value = 0;
      for (let row = 0; row < features.length; row++) {
        const logit = (c: number): number => scale * (known[row * count + c]! + moved[row * count + c]!);
        value += toErrors(errors, row * count, count, classes[row]!, logit) / features.length;
      }
      const sums = products.gradient(errors);
      for (let i = 0; i < at.length; i++) {
        gradient[i] = (scale / features.length) * sums[i]! + strength * at[i]!;
        value += (strength / 2) * at[i]! * at[i]!;
      }
      return value;
    }, start);
    return weightsAt(point, prior, scale);
  };
}

/** A row's scores: its logits. */
export function scoresOf(features: Float32Array, { vectors, biases }: ClassWeights): number[] {
  return vectors.map((vector, c) => features.reduce((sum, x, i) => sum + x * vector[i]!, biases[c]!));
}

function withOne(features: Float32Array): Float32Array {
  const longer = new Float32Array(features.length + 1);
  longer.set(features);
  longer[features.length] = 1;
  return longer;
}

function weightsAt(point: Float64Array, prior: readonly Float32Array[], scale: number): ClassWeights {
  const width = prior[0]!.length + 1;
  return {
    vectors: prior.map((p, c) => p.map((value, i) => scale * (value + point[c * width + i]!))),
    biases: prior.map((_, c) => scale * point[(c + 1) * width - 1]!),
    point,
  };
}

/** Errors this small move no weight by a digit that counts; among many classes most of a row's are, and then cost nothing. */
const NEGLIGIBLE = 1e-5;

/** Writes a row's errors, probability less truth. @returns the surprise of the right class, nats */
function toErrors(errors: Float32Array, at: number, count: number, right: number, logit: (c: number) => number): number {
  let largest = -Infinity;
  for (let c = 0; c < count; c++) largest = Math.max(largest, logit(c));
  let sum = 0;
  for (let c = 0; c < count; c++) sum += Math.exp(logit(c) - largest);
  for (let c = 0; c < count; c++) {
    const error = Math.exp(logit(c) - largest) / sum - Number(c === right);
    errors[at + c] = Math.abs(error) < NEGLIGIBLE ? 0 : error;
  }
  return largest + Math.log(sum) - logit(right);
}
