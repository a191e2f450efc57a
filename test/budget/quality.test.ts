/**
 * A least quality: a depth by the card's table that no budget cuts below, or a refusal.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Budget } from "../../engine/budget/budget.ts";
import { costModel } from "../../engine/budget/cost.ts";
import { grantBudget, InfeasibleError, type Grant } from "../../engine/budget/grant.ts";
import { callUnits, planRequest } from "../../engine/budget/plan.ts";
import { BudgetController } from "../../engine/budget/controller.ts";
import { iterationsForQuality } from "../../engine/budget/quality.ts";
import type { ExitRule } from "../../engine/exit-rule.ts";
import { CALIBRATION, PRICE } from "./requests.ts";

const SHAPE = {
  width: 64,
  heads: 4,
  kvHeads: 4,
  headDim: 16,
  mlpWidth: 128,
  preludeLayers: 1,
  coreLayers: 1,
  codaLayers: 1,
  vocabSize: 100,
  recurrence: { injection: "adapter" as const },
};
const cost = costModel(SHAPE, CALIBRATION.weights);
const REST_WAKE: ExitRule = { criterion: "rest-wake", threshold: 0.2, wake: 0.3 };
const DEFAULTS = { iterations: 16, maxIterations: 32, tokens: 4, exit: REST_WAKE };

interface Loop {
  /** Of the `rows` that ran iteration t of call `index`, how many run the next; 0 ends the call. */
  readonly next: (index: number, t: number, rows: number) => number;
  /** Tokens until the model stops by itself. */
  readonly stopAfter?: number;
  readonly onIteration?: (index: number, t: number) => void;
}

/** A token loop without a model. Returns iterations of each call. */
function run(
  controller: BudgetController,
  promptRows: number,
  tokens: number,
  loop: Loop,
): { calls: number[]; spending: ReturnType<BudgetController["report"]> } {
  const calls: number[] = [];
  let finish: "stop" | "length" = "length";
  for (let index = 0; index < tokens; index++) {
    const shape = index === 0 ? { index, rows: promptRows, cached: 0 } : { index, rows: 1, cached: promptRows + index - 1 };
    const plan = controller.plan(shape);
    if (plan === undefined) break;
    let [t, rows] = [0, shape.rows];
    while (t < plan.iterations && rows > 0) {
      const next = Math.min(shape.rows, loop.next(index, t, rows));
      loop.onIteration?.(index, t);
      t++;
      const report = { iteration: t, rows, next, exitValue: 0.5, readout: false };
      rows = next;
      if (controller.proceed(report, REST_WAKE) === undefined) break;
    }
    calls.push(t);
    if (index + 1 === loop.stopAfter) {
      finish = "stop";
      break;
    }
  }
  return { calls, spending: controller.report(finish, calls.length) };
}

const never: Loop = { next: (_i, _t, rows) => rows };

function controllerOf(grant: Grant, promptRows: number, more: object = {}): BudgetController {
  const plan = planRequest(grant, promptRows, { cost, calibration: CALIBRATION });
  return new BudgetController({ grant, plan, promptRows, cost, calibration: CALIBRATION, ...more });
}

/** Units of a prompt and so many tokens at a depth. */
function unitsOf(promptRows: number, tokens: number, depth: number): number {
  let units = callUnits(cost, promptRows, promptRows, depth, REST_WAKE.criterion);
  for (let i = 1; i < tokens; i++) units += callUnits(cost, 1, promptRows + i, depth, REST_WAKE.criterion);
  return units;
}

describe("a least quality", () => {
  const quality = [{ n: 100, accuracy: { "1": 0.3, "4": 0.8, "8": 0.99, "24": 0.995 }, withExit: { accuracy: 1 } }];
  const askedFor = (body: Budget): Grant =>
    grantBudget({ body }, { defaults: { ...DEFAULTS, quality }, calibration: CALIBRATION, price: PRICE });

  it("is a depth below which no budget cuts a token, and below which the exit rule may still end it", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.constantFrom(0.3, 0.5, 0.8, 0.9),
        fc.double({ min: 0.5, max: 3, noNaN: true }),
        (rows, minQuality, share) => {
          const depth = iterationsForQuality(quality, minQuality);
          const grant = askedFor({ minQuality, units: share * unitsOf(rows, 3, depth), tokens: 3 });
          let controller: BudgetController;
          try {
            controller = controllerOf(grant, rows);
          } catch (error) {
            expect(error).toBeInstanceOf(InfeasibleError);
            expect(share).toBeLessThan(1);
            return;
          }
          const { calls, spending } = run(controller, rows, 3, never);
          expect(Math.min(...calls)).toBeGreaterThanOrEqual(depth);
          expect(spending.units).toBeLessThanOrEqual(grant.units);
        },
      ),
    );
    const early: Loop = { next: (_index, t, rows) => (t >= 1 ? 0 : rows) };
    expect(run(controllerOf(askedFor({ minQuality: 0.99 }), 20), 20, 2, early).calls).toEqual([2, 2]);
  });

  it("is refused where the model does not reach it, fewer iterations are allowed, or no table says", () => {
    expect(() => askedFor({ minQuality: 1 })).toThrow(/min_quality must be at most 0.995, what the model reaches by its card, not 1/);
    expect(() => askedFor({ minQuality: 0.9, iterations: 4 })).toThrow(/takes 8 iterations by the model's card, of which 4 are allowed/);
    expect(() => grantBudget({ body: { minQuality: 0.5 } }, { defaults: DEFAULTS, calibration: CALIBRATION, price: PRICE })).toThrow(
      /has none for such requests/,
    );
  });

  it("lets the card's own exit rule end a token sooner where that was measured to be as accurate", () => {
    const with95 = [{ n: 100, accuracy: { "4": 0.9, "8": 0.99 }, withExit: { accuracy: 0.95 } }];
    const least = (body: Budget, rows = with95): number | undefined =>
      grantBudget({ body }, { defaults: { ...DEFAULTS, quality: rows }, calibration: CALIBRATION, price: PRICE }).exit.minIterations;
    expect(least({ minQuality: 0.9 })).toBe(0);
    expect(least({ minQuality: 0.95 })).toBe(0);
    expect(least({ minQuality: 0.96 })).toBe(8);
    expect(least({ minQuality: 0.96, exit: REST_WAKE })).toBe(0);
    expect(least({ minQuality: 0.9 }, [{ n: 100, accuracy: { "4": 0.9 } }] as typeof with95)).toBe(4);
  });

  it("buys the depth that it takes, where nobody says how deep", () => {
    expect(askedFor({ minQuality: 0.995 })).toMatchObject({ iterations: 24, minIterations: 24 });
    expect(askedFor({ minQuality: 0.8 })).toMatchObject({ iterations: 16, minIterations: 4 });
    expect(() => askedFor({ minQuality: 0.995, iterations: 16 })).toThrow(/takes 24 iterations .* of which 16 are allowed/);
  });

  it("is, by a card, the accuracy over all problems no harder than those of training", () => {
    const row = (n: number, level: number, one: number, two: number) => ({ n, level, trainedTo: 4, accuracy: { "1": one, "2": two } });
    const rows = [row(100, 2, 0.5, 1), row(300, 4, 0.1, 0.8), row(100, 6, 0, 0)]; // 0.2 and 0.85
    expect(iterationsForQuality(rows, 0.2)).toBe(1);
    expect(iterationsForQuality(rows, 0.85)).toBe(2);
    expect(() => iterationsForQuality(rows, 0.86)).toThrow(/at most 0.85/);
  });
});
