/** Metrics of decisions against values computed by hand, and what must change none of them. */
import { describe, expect, it } from "vitest";
import { bootstrap } from "../../../cli/decision-eval/metrics/bootstrap.ts";
import { brier } from "../../../cli/decision-eval/metrics/brier.ts";
import { calibrationError, type Judged } from "../../../cli/decision-eval/metrics/calibration-error.ts";
import { fitLogistic, probability } from "../../../cli/decision-eval/metrics/logistic.ts";
import { macroF1 } from "../../../cli/decision-eval/metrics/macro-f1.ts";
import { outOfScopeRecall } from "../../../cli/decision-eval/metrics/out-of-scope.ts";
import { riskCoverageArea } from "../../../cli/decision-eval/metrics/risk-coverage.ts";
import { fitTemperature, surprise } from "../../../cli/decision-eval/metrics/temperature.ts";
import { wilson } from "../../../cli/decision-eval/metrics/wilson.ts";
import { uniform } from "../../../engine/random.ts";

const judged = (...rows: [number, boolean][]): Judged[] => rows.map(([confidence, isRight]) => ({ confidence, isRight }));
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Rows of a seed, and the same ones in another order. */
function shuffled<T>(rows: readonly T[], seed: number): T[] {
  return rows
    .map((row, i) => ({ row, key: uniform(seed, 7, i) }))
    .sort((a, b) => a.key - b.key)
    .map(({ row }) => row);
}

describe("Wilson's interval", () => {
  it("is the published one", () => {
    expect(wilson(8, 10).low).toBeCloseTo(0.4902, 4);
    expect(wilson(8, 10).high).toBeCloseTo(0.9433, 4);
    expect(wilson(0, 10)).toMatchObject({ low: 0, high: expect.closeTo(0.2775, 4) });
    expect(wilson(10, 10).high).toBeCloseTo(1, 12);
    expect(wilson(0, 0)).toEqual({ low: 0, high: 1 });
  });

  it("holds the true share 95 times of 100, also near the ends", () => {
    const [runs, n, p] = [2000, 40, 0.9];
    const held = Array.from({ length: runs }, (_, run) => {
      const hits = Array.from({ length: n }, (__, i) => uniform(3, run, i) < p).filter(Boolean).length;
      const { low, high } = wilson(hits, n);
      return Number(low <= p && p <= high);
    });
    expect(mean(held)).toBeGreaterThan(0.93);
    expect(mean(held)).toBeLessThan(0.98);
  });
});

describe("a bootstrap interval", () => {
  const rows = Array.from({ length: 200 }, (_, i) => uniform(1, 1, i));

  it("is that of the mean's standard error", () => {
    const { low, high } = bootstrap(rows, mean);
    expect((high - low) / 2 / (1.96 / Math.sqrt(12 * 200))).toBeCloseTo(1, 0);
    expect(low).toBeLessThan(mean(rows));
    expect(high).toBeGreaterThan(mean(rows));
  });

  it("is the same for the same seed, and another for another", () => {
    expect(bootstrap(rows, mean, { seed: 4 })).toEqual(bootstrap(rows, mean, { seed: 4 }));
    expect(bootstrap(rows, mean, { seed: 5 })).not.toEqual(bootstrap(rows, mean, { seed: 4 }));
  });

  it("leaves samples out that have no value", () => {
    const interval = bootstrap([1, NaN], mean, { samples: 50 });
    expect(interval).toEqual({ low: 1, high: 1 });
  });
});

describe("macro-F1", () => {
  it("is the mean of the labels' own, those that are only answered included", () => {
    // a: precision 1/2, recall 1; b: never answered; c: answered, never right
    const pairs = [
      { gold: "a", answer: "a" },
      { gold: "b", answer: "a" },
      { gold: "b", answer: "c" },
    ];
    expect(macroF1(pairs)).toBeCloseTo((2 / 3 + 0 + 0) / 3, 12);
    expect(macroF1([{ gold: "a", answer: "a" }])).toBe(1);
    expect(macroF1([])).toBeNaN();
  });
});

describe("the Brier score", () => {
  it("sums squared distances over options", () => {
    expect(brier([{ probabilities: [0.7, 0.2, 0.1], gold: 0 }])).toBeCloseTo(0.09 + 0.04 + 0.01, 12);
    expect(brier([{ probabilities: [1, 0], gold: 1 }])).toBe(2);
    expect(
      brier([
        { probabilities: [1, 0], gold: 1 },
        { probabilities: [1, 0], gold: 0 },
      ]),
    ).toBe(1);
  });
});

describe("expected calibration error", () => {
  it("weighs each bin's gap by its rows", () => {
    // bin of 0.9: mean confidence 0.9, half right: gap 0.4, twice; bin of 0.5: always right: gap 0.5, once
    expect(calibrationError(judged([0.9, true], [0.9, false], [0.5, true]))).toBeCloseTo((2 * 0.4 + 0.5) / 3, 12);
    expect(calibrationError(judged([1, true], [1, true]))).toBe(0);
    expect(calibrationError(judged([0.61, true], [0.59, false]), 1)).toBeCloseTo(0.1, 12);
  });
});

describe("the area under the risk-coverage curve", () => {
  it("averages the share wrong over how many are answered", () => {
    expect(riskCoverageArea(judged([0.9, true], [0.8, false], [0.7, true]))).toBeCloseTo((0 + 1 / 2 + 1 / 3) / 3, 12);
    expect(riskCoverageArea(judged([0.9, false], [0.8, true]))).toBeCloseTo((1 + 1 / 2) / 2, 12);
  });

  it("is the error rate where all are equally sure, whatever their order", () => {
    expect(riskCoverageArea(judged([0.5, true], [0.5, false], [0.5, false], [0.5, true]))).toBeCloseTo(0.5, 12);
  });

  it("is 0 where nothing is wrong, and looks at the order of confidences alone", () => {
    expect(riskCoverageArea(judged([0.3, true], [0.2, true]))).toBe(0);
    const rows = judged([3, true], [2, false], [1, true]);
    expect(riskCoverageArea(rows.map((row) => ({ ...row, confidence: Math.exp(row.confidence) })))).toBe(riskCoverageArea(rows));
  });
});

describe("recall out of scope", () => {
  const inside = (witness: number, isRight = true): { witness: number; isRight: boolean | undefined } => ({ witness, isRight });
  const outside = (witness: number): { witness: number; isRight: boolean | undefined } => ({ witness, isRight: undefined });

  it("takes the highest threshold that loses no more right answers than it may", () => {
    const rows = [...[0.1, 0.2, 0.3, 0.9].map((w) => inside(w)), outside(0.05), outside(0.15), outside(0.25), outside(0.95)];
    expect(outOfScopeRecall(rows, 0)).toEqual({ recall: 1 / 4, threshold: 0.1, loss: 0 });
    expect(outOfScopeRecall(rows, 0.25)).toEqual({ recall: 2 / 4, threshold: 0.2, loss: 0.25 });
  });

  it("loses nothing by refusing answers that are wrong", () => {
    expect(outOfScopeRecall([inside(0.1, false), inside(0.8), outside(0.5)], 0)).toEqual({ recall: 1, threshold: 0.8, loss: 0 });
  });

  it("counts 3 points of 100 rows as three of them, and ties as one", () => {
    const rows = Array.from({ length: 100 }, (_, i) => inside(i / 100));
    expect(outOfScopeRecall([...rows, outside(0.025)]).loss).toBe(0.03);
    expect(outOfScopeRecall([inside(0.5), inside(0.5), outside(0.4)], 0.5)).toMatchObject({ threshold: 0.5, loss: 0 });
  });
});

describe("a temperature", () => {
  /** Answers drawn from softmax(scores / T). */
  const drawn = (temperature: number): { scores: number[]; gold: number }[] =>
    Array.from({ length: 1500 }, (_, i) => {
      const scores = [0, 1, 2].map((k) => 4 * uniform(11, k, i));
      const weights = scores.map((s) => Math.exp(s / temperature));
      let left = uniform(12, 0, i) * weights.reduce((a, b) => a + b, 0);
      return {
        scores,
        gold: Math.max(
          0,
          weights.findIndex((w) => (left -= w) < 0),
        ),
      };
    });

  it.each([0.5, 1, 3])("is found again from answers drawn at it: %d", (temperature) => {
    expect(fitTemperature(drawn(temperature)) / temperature).toBeCloseTo(1, 0);
    expect(Math.abs(Math.log(fitTemperature(drawn(temperature)) / temperature))).toBeLessThan(0.1);
  });

  it("surprises least of all", () => {
    const rows = drawn(2);
    const best = fitTemperature(rows);
    for (const other of [best * 1.05, best / 1.05]) expect(surprise(rows, best)).toBeLessThan(surprise(rows, other));
    expect(surprise([{ scores: [0, Math.log(3)], gold: 1 }], 1)).toBeCloseTo(Math.log(4 / 3), 12);
  });

  it("has an end where every answer is right, or is noise", () => {
    expect(fitTemperature([{ scores: [0, 1], gold: 1 }])).toBeCloseTo(0.05, 6);
    expect(fitTemperature([{ scores: [0, 1], gold: 0 }])).toBeCloseTo(20, 4);
  });
});

describe("logistic regression", () => {
  it("finds the weights that answers were drawn by", () => {
    const examples = Array.from({ length: 5000 }, (_, i) => {
      const features = [2 * uniform(21, 0, i) - 1, 2 * uniform(21, 1, i) - 1];
      return { features, isRight: uniform(21, 2, i) < probability([0.5, 2, -1], features) };
    });
    const weights = fitLogistic(examples);
    [0.5, 2, -1].forEach((weight, i) => expect(weights[i]).toBeCloseTo(weight, 0));
    const mistaken = mean(examples.map(({ features }) => probability(weights, features))) - mean(examples.map((e) => Number(e.isRight)));
    expect(mistaken).toBeCloseTo(0, 5);
  });

  it("ends where one class is missing or a feature separates", () => {
    expect(probability(fitLogistic([{ features: [1], isRight: true }]), [1])).toBeGreaterThan(0.9);
    const separable = [-1, 1].map((x) => ({ features: [x], isRight: x > 0 }));
    expect(fitLogistic(separable).every(Number.isFinite)).toBe(true);
  });
});

describe("the order of rows", () => {
  it.each([1, 2, 3])("changes no metric (seed %d)", (seed) => {
    const rows = Array.from({ length: 300 }, (_, i) => ({
      confidence: Math.round(uniform(seed, 0, i) * 20) / 20,
      isRight: uniform(seed, 1, i) < 0.7,
      witness: uniform(seed, 2, i),
      gold: Math.floor(uniform(seed, 3, i) * 3),
      scores: [0, 1, 2].map((k) => uniform(seed, 4 + k, i)),
    }));
    const all = (list: typeof rows): number[] => [
      calibrationError(list),
      riskCoverageArea(list),
      brier(list.map(({ scores, gold }) => ({ probabilities: scores, gold }))),
      macroF1(list.map(({ gold, isRight }) => ({ gold: `${gold}`, answer: isRight ? `${gold}` : "0" }))),
      outOfScopeRecall(list.map(({ witness, isRight }, i) => ({ witness, isRight: list[i]!.gold === 0 ? undefined : isRight }))).recall,
      fitTemperature(list),
    ];
    expect(all(shuffled(rows, seed))).toEqual(all(rows));
  });
});
