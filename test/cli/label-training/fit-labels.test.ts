/** Labels fitted to rows: what is held out, how strength is chosen, when it abstains. */
import { describe, expect, it } from "vitest";
import { fitCount, fitLabels, type LabelRow } from "../../../cli/label-training/fit-labels.ts";
import { foldsOf } from "../../../cli/label-training/folds.ts";
import { f16Bytes } from "../../../cli/label-training/half.ts";
import { sigmoid } from "../../../engine/decide/probabilities.ts";
import { nodeRegression } from "../../../wasm/node.ts";
import { randomFloats } from "../../wasm/models.ts";

const createProducts = await nodeRegression();
const unit = (vector: Float32Array): Float32Array => vector.map((v) => v / Math.hypot(...vector));
const SIZE = 24;
const centre = (c: number): Float32Array => unit(randomFloats(SIZE, 900 + c));
const near = (c: number, seed: number, noise: number): Float32Array => {
  const [middle, off] = [centre(c), unit(randomFloats(SIZE, seed))];
  return unit(middle.map((v, i) => v + noise * off[i]!));
};

/** Words that say nothing: the same of every row. */
const SILENT = Float32Array.of(1, 0, 0, 0);

function rows(perClass: number, outside: number, noise = 0.6): LabelRow[] {
  const inside = [0, 1, 2].flatMap((target) =>
    Array.from({ length: perClass }, (_, i) => ({
      input: `${target} ${i}`,
      features: near(target, 100 * target + i, noise),
      wording: SILENT,
      target,
    })),
  );
  const others = Array.from({ length: outside }, (_, i) => ({
    input: `none ${i}`,
    features: near(7, 5000 + i, noise),
    wording: SILENT,
    target: undefined,
  }));
  return [...inside, ...others];
}

describe("folds", () => {
  it("spread each label, keep equal inputs together, and are always the same", () => {
    const some = rows(10, 4);
    const twice = [...some, some[3]!, some[12]!];
    const { count, folds } = foldsOf(twice);
    expect(count).toBe(5);
    for (const target of [0, 1, 2]) {
      const own = folds.filter((_, i) => i < some.length && twice[i]!.target === target);
      expect(
        [0, 1, 2, 3, 4].map((fold) => own.filter((f) => f === fold).length),
        `label ${target}`,
      ).toEqual([2, 2, 2, 2, 2]);
    }
    expect([folds.at(-2), folds.at(-1)]).toEqual([folds[3], folds[12]]);
    expect(foldsOf(twice).folds).toEqual(folds);
  });

  it("are as many as there are inputs, and do not hold all single rows of many labels in one", () => {
    expect(foldsOf(rows(1, 0)).count).toBe(3);
    const single = Array.from({ length: 20 }, (_, target) => ({ input: `${target}`, target }));
    expect(new Set(foldsOf(single).folds).size).toBe(5);
  });
});

describe("labels", () => {
  const prior = [0, 1, 2].map(() => new Float32Array(SIZE));

  it("are fitted to all rows and judged on those held out", () => {
    let fits = 0;
    const problem = { rows: rows(8, 0), prior, scale: 10 };
    const { heldOut, settings, weights, temperature } = fitLabels(problem, createProducts, () => fits++);
    expect(heldOut).toHaveLength(24);
    const right = heldOut.filter(({ scores, target }) => scores.indexOf(Math.max(...scores)) === target).length;
    expect(right / 24).toBeGreaterThan(0.85);
    expect(settings).toMatchObject({ meaning: 0 });
    expect(weights.vectors).toHaveLength(3);
    expect(temperature).toBeGreaterThan(0);
    expect(fits).toBe(fitCount(problem));
  });

  it("keep to their texts where rows are few and vague, and follow the rows where texts mislead", () => {
    const good = fitLabels({ rows: rows(4, 0, 3), prior: [0, 1, 2].map(centre), scale: 10 }, createProducts);
    const misled = fitLabels({ rows: rows(12, 0), prior: [1, 2, 0].map(centre), scale: 10 }, createProducts);
    expect(good.settings.meaning).toBeGreaterThan(0);
    expect(misled.settings.meaning).toBe(0);
  });

  it("listen to words where these tell what meaning does not, and to nothing else where they do not", () => {
    const telling = rows(8, 0, 30).map((row) => ({ ...row, wording: Float32Array.from(SILENT, (_, i) => Number(i === row.target)) }));
    const { settings, wording, heldOut } = fitLabels({ rows: telling, prior, scale: 10 }, createProducts);
    expect(settings.wording).toBeGreaterThan(0);
    expect(wording).toHaveLength(3);
    expect(heldOut.every(({ scores, target }) => scores.indexOf(Math.max(...scores)) === target)).toBe(true);
    const misleading = rows(8, 0, 0.3).map((row, i) => ({ ...row, wording: Float32Array.from(SILENT, (_, j) => Number(i % 4 === j)) }));
    expect(fitLabels({ rows: misleading, prior, scale: 10 }, createProducts).settings.wording).toBe(0);
  });

  it("are what is usual where a label has one row only, as no other row can tell", () => {
    const { settings } = fitLabels({ rows: rows(1, 0), prior: [0, 1, 2].map(centre), scale: 10 }, createProducts);
    expect(settings).toEqual({ strength: 0.2, meaning: 0.4, wording: 0.25 });
  });

  it("abstain below a fit that costs at most three points, and finds what no label fits", () => {
    const { heldOut, fit, threshold } = fitLabels({ rows: rows(20, 20), prior, scale: 10 }, createProducts);
    const isRefused = ({ scores }: { readonly scores: readonly number[] }): boolean =>
      sigmoid(fit.slope * Math.max(...scores) + fit.intercept) < threshold;
    const inside = heldOut.filter(({ target }) => target !== undefined);
    const right = inside.filter(({ scores, target }) => scores.indexOf(Math.max(...scores)) === target);
    expect(right.filter(isRefused).length / inside.length).toBeLessThanOrEqual(0.03);
    const outside = heldOut.filter(({ target }) => target === undefined);
    expect(outside.filter(isRefused).length / outside.length).toBeGreaterThan(0.5);
    expect(fit.slope).toBeGreaterThan(0);
  });
});

describe("half precision", () => {
  it("is the nearest that f16 has, halves to even, and never infinite", () => {
    const of = (value: number): number => new Uint16Array(f16Bytes(Float32Array.of(value)).buffer)[0]!;
    const known: [value: number, bits: number][] = [
      [0, 0],
      [1, 0x3c00],
      [-2, 0xc000],
      [0.1, 0x2e66],
      [2049, 0x6800],
      [2051, 0x6802],
      [65_504, 0x7bff],
      [1e9, 0x7bff],
      [2 ** -24, 1],
      [2 ** -26, 0],
      [2 ** -14 - 2 ** -25, 0x400],
    ];
    for (const [value, bits] of known) expect(of(value), `${value}`).toBe(bits);
  });
});
