/**
 * Calibration and prices: numbers from samples, and numbers back from them.
 */
import { describe, expect, it } from "vitest";
import { assumedCalibration, calibrationFor, fitNonNegative, quantile, summariseWork } from "../../engine/budget/calibration.ts";
import { grantBudget, msOf } from "../../engine/budget/grant.ts";
import { DURABLE_OBJECTS, msFor, ownMachine, usdOf, WORKERS } from "../../engine/budget/price.ts";
import { CALIBRATION } from "./requests.ts";

describe("work samples", () => {
  const samples = Array.from({ length: 100 }, (_, i) => ({ units: 2, ms: 2 * (10 + i / 100) + 5 }));

  it("give p50 and p95 of milliseconds a unit, constant costs left out", () => {
    const { msPerUnit, samples: count } = summariseWork(samples, 5)!;
    expect(msPerUnit.p50).toBeCloseTo(10.49, 10);
    expect(msPerUnit.p95).toBeCloseTo(10.94, 10);
    expect(count).toBe(100);
  });

  it("without work or sense do not count; too few give nothing", () => {
    const broken = [
      { units: 0, ms: 5 },
      { units: NaN, ms: 1 },
      { units: 1, ms: NaN },
      { units: 1, ms: -1 },
    ];
    expect(summariseWork([...samples, ...broken])!.samples).toBe(100);
    expect(summariseWork(samples.slice(0, 10))).toBeUndefined();
  });

  it("have quantiles that are samples", () => {
    expect(quantile([3, 1, 2], 0.5)).toBe(2);
    expect(quantile([3, 1, 2], 0.95)).toBe(3);
    expect(quantile([], 0.5)).toBeNaN();
  });
});

describe("the fit", () => {
  it("finds the weights that made the times, and no negative ones", () => {
    const weights = [2, 0, 0.5];
    const rows = Array.from({ length: 30 }, (_, i) => {
      const features = [1 + (i % 7), (i * 5) % 11, 1 + ((i * 3) % 13)];
      return { features, target: features.reduce((sum, f, k) => sum + f * weights[k]!, 0) };
    });
    for (const [k, fitted] of fitNonNegative(rows).entries()) expect(fitted).toBeCloseTo(weights[k]!, 6);
    expect(Math.min(...fitNonNegative(rows.map((r) => ({ ...r, target: r.target - 3 > 0 ? r.target - 3 : 0.1 }))))).toBeGreaterThanOrEqual(
      0,
    );
  });
});

describe("a calibration", () => {
  it("counts for the backend it was measured on; another gets an assumed one, on the slow side", () => {
    expect(calibrationFor("wasm", CALIBRATION)).toBe(CALIBRATION);
    expect(calibrationFor("reference", CALIBRATION)).toEqual(assumedCalibration("reference"));
    expect(calibrationFor("wasm", undefined).msPerUnit.p95).toBeGreaterThan(CALIBRATION.msPerUnit.p95);
    expect(assumedCalibration("unheard-of").msPerUnit.p95).toBeGreaterThan(0);
  });

  it("turns milliseconds into units and back", () => {
    const terms = {
      defaults: { iterations: 4, maxIterations: 8, tokens: 2, exit: { criterion: "none", threshold: 0 } as const },
      calibration: CALIBRATION,
      price: WORKERS,
    };
    const { units } = grantBudget({ body: { latencyMs: 150 } }, terms);
    const { msPerUnit, overheadMs } = CALIBRATION;
    expect(msOf(units, msPerUnit.p95, overheadMs)).toBeCloseTo(150, 9);
    const live = grantBudget({ body: { latencyMs: 150 } }, { ...terms, clockMoves: true });
    expect(msOf(live.units, msPerUnit.p50, overheadMs)).toBeCloseTo(150, 9);
  });
});

describe("price cards", () => {
  it("are the vendors'", () => {
    expect(usdOf(WORKERS, 0)).toBeCloseTo(0.3e-6, 12);
    expect(usdOf(WORKERS, 1e6) - usdOf(WORKERS, 0)).toBeCloseTo(0.02, 12);
    expect(usdOf(DURABLE_OBJECTS, 1e6)).toBeCloseTo(0.15e-6 + 12.5e-6 * 0.128 * 1000, 9);
    expect(usdOf(ownMachine(3.6), 1000)).toBeCloseTo(0.002, 12);
  });

  it("say how long an amount lasts", () => {
    for (const card of [WORKERS, DURABLE_OBJECTS, ownMachine(1)]) expect(msFor(card, usdOf(card, 123))).toBeCloseTo(123, 6);
    expect(msFor(WORKERS, 1e-9)).toBeLessThan(0);
    expect(msFor({ name: "free", usdPerRequest: 0, usdPerMs: 0 }, 1)).toBe(Infinity);
  });
});
