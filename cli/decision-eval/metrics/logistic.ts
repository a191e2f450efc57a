/**
 * Logistic regression of few features: how probable it is that an answer is right, given what witnesses say of it. By
 * Newton's method, with a slight pull to zero so that separable rows have an end. Pure.
 */
import { sigmoid } from "../../../engine/decide/probabilities.ts";

export interface Example {
  readonly features: readonly number[];
  readonly isRight: boolean;
}

/** An intercept, then a weight a feature. */
export type LogisticWeights = readonly number[];

/** Pull to zero: that of one row in which the features' deviations are 1. */
const RIDGE = 1;
const STEPS = 50;
const STILL = 1e-10;

/** @param examples at least one; their features should be of the order of 1 */
export function fitLogistic(examples: readonly Example[]): LogisticWeights {
  const width = examples[0]!.features.length + 1;
  let weights: number[] = Array.from({ length: width }, () => 0);
  for (let step = 0; step < STEPS; step++) {
    const gradient = weights.map((weight, i) => (i === 0 ? 0 : -RIDGE * weight));
    const hessian = weights.map((_, i) => weights.map((__, j) => (i === j ? (i === 0 ? 1e-3 : RIDGE) : 0)));
    gradient[0]! -= 1e-3 * weights[0]!;
    for (const { features, isRight } of examples) {
      const x = [1, ...features];
      const p = probability(weights, features);
      for (let i = 0; i < width; i++) {
        gradient[i]! += (Number(isRight) - p) * x[i]!;
        for (let j = 0; j < width; j++) hessian[i]![j]! += p * (1 - p) * x[i]! * x[j]!;
      }
    }
    const change = solve(hessian, gradient);
    weights = weights.map((weight, i) => weight + change[i]!);
    if (Math.max(...change.map(Math.abs)) < STILL) break;
  }
  return weights;
}

export function probability([intercept = 0, ...weights]: LogisticWeights, features: readonly number[]): number {
  return sigmoid(weights.reduce((sum, weight, i) => sum + weight * features[i]!, intercept));
}

/** matrix x = right, by elimination with the largest pivot; the matrix is symmetric and positive. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]!]);
  const width = rows.length;
  for (let column = 0; column < width; column++) {
    const pivot = rows.slice(column).reduce((best, row) => (Math.abs(row[column]!) > Math.abs(best[column]!) ? row : best));
    rows.splice(rows.indexOf(pivot), 1);
    rows.splice(column, 0, pivot);
    for (const row of rows.slice(column + 1)) {
      const factor = row[column]! / pivot[column]!;
      for (let i = column; i <= width; i++) row[i]! -= factor * pivot[i]!;
    }
  }
  const x = Array.from({ length: width }, () => 0);
  for (let i = width - 1; i >= 0; i--) {
    const known = rows[i]!.slice(i + 1, width).reduce((sum, value, j) => sum + value * x[i + 1 + j]!, 0);
    x[i] = (rows[i]![width]! - known) / rows[i]![i]!;
  }
  return x;
}
