/** Regression towards a prior: its optimum, its products in Wasm, and what rows and prior each decide. */
import { describe, expect, it } from "vitest";
import { minimise } from "../../../cli/label-training/minimise.ts";
import { scoresOf, softmaxRegression, untrained, type SoftmaxProblem } from "../../../cli/label-training/softmax-regression.ts";
import { softmax } from "../../../engine/decide/probabilities.ts";
import { nodeRegression } from "../../../wasm/node.ts";
import { randomFloats } from "../../wasm/models.ts";

const createProducts = await nodeRegression();

const unit = (vector: Float32Array): Float32Array => vector.map((v) => v / Math.hypot(...vector));
const vectors = (count: number, size: number, seed: number): Float32Array[] =>
  Array.from({ length: count }, (_, i) => unit(randomFloats(size, seed + i)));

describe("products in Wasm", () => {
  it.each([
    [1, 1, 1],
    [3, 5, 7],
    [9, 4, 8],
    [20, 13, 33],
  ])("of %d rows, %d classes and %d columns are those of plain arithmetic", (rows, classes, columns) => {
    const features = vectors(rows, columns, 1);
    const weights = randomFloats(classes * columns, 50);
    const errors = randomFloats(rows * classes, 60).map((v, i) => (i % 3 === 0 ? 0 : v));
    const made = createProducts(features, classes);
    const logits = made.logits(weights).slice();
    const sums = made.gradient(errors).slice();
    expect([logits.length, sums.length]).toEqual([rows * classes, classes * columns]);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < classes; c++) {
        const expected = features[r]!.reduce((sum, x, k) => sum + x * weights[c * columns + k]!, 0);
        expect(logits[r * classes + c], `row ${r}, class ${c}`).toBeCloseTo(expected, 5);
      }
    for (let c = 0; c < classes; c++)
      for (let k = 0; k < columns; k++) {
        const expected = features.reduce((sum, x, r) => sum + errors[r * classes + c]! * x[k]!, 0);
        expect(sums[c * columns + k], `class ${c}, column ${k}`).toBeCloseTo(expected, 5);
      }
  });
});

describe("minimising", () => {
  it("finds the bottom of a bent valley", () => {
    const found = minimise(
      ([x, y], gradient) => {
        gradient[0] = 2 * (x! - 3) + 200 * (x! + y!);
        gradient[1] = 200 * (x! + y!);
        return (x! - 3) ** 2 + 100 * (x! + y!) ** 2;
      },
      new Float64Array(2),
      { iterations: 100, stillness: 1e-9 },
    );
    expect(found[0]).toBeCloseTo(3, 6);
    expect(found[1]).toBeCloseTo(-3, 6);
  });
});

describe("softmax regression", () => {
  const prior = vectors(3, 12, 5);
  const problem: SoftmaxProblem = { features: vectors(9, 12, 20), classes: [0, 1, 2, 0, 1, 2, 0, 1, 2], prior, scale: 6 };
  const best = (row: Float32Array, weights: Parameters<typeof scoresOf>[1]): number => {
    const scores = scoresOf(row, weights);
    return scores.indexOf(Math.max(...scores));
  };

  it("is at its optimum: what errors pull is what strength holds", () => {
    const strength = 0.05;
    const { vectors: found, biases } = softmaxRegression(problem, createProducts)(strength);
    for (let c = 0; c < 3; c++) {
      const pull = new Float64Array(13);
      problem.features.forEach((x, row) => {
        const error = softmax(scoresOf(x, { vectors: found, biases, point: new Float64Array(0) }))[c]! - Number(problem.classes[row] === c);
        [...x, 1].forEach((value, k) => (pull[k]! += (6 * error * value) / 9));
      });
      const held = [...found[c]!.map((v, k) => v / 6 - prior[c]![k]!), biases[c]! / 6];
      held.forEach((moved, k) => expect(pull[k]! + strength * moved, `class ${c}, weight ${k}`).toBeCloseTo(0, 2));
    }
  });

  it("stays the prior where strength is great, and learns its rows where it is small, each time the same", () => {
    const fit = softmaxRegression(problem, createProducts);
    const strong = fit(1e4);
    untrained(problem).vectors.forEach((vector, c) =>
      vector.forEach((v, k) => expect(strong.vectors[c]![k], `class ${c}`).toBeCloseTo(v, 2)),
    );
    const weak = fit(1e-3);
    expect(problem.features.map((x) => best(x, weak))).toEqual(problem.classes);
    expect(problem.features.map((x) => best(x, strong))).not.toEqual(problem.classes);
    expect(softmaxRegression(problem, createProducts)(1e-3).vectors).toEqual(weak.vectors);
  });

  it("leaves a class without rows where its text is", () => {
    const other = { ...problem, features: problem.features.slice(0, 2), classes: [0, 1] };
    const { vectors: found } = softmaxRegression(other, createProducts)(0.03);
    expect(best(prior[2]!, { vectors: found, biases: [0, 0, 0], point: new Float64Array(0) })).toBe(2);
  });
});
