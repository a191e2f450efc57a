/**
 * The controller by itself, under loops and clocks that are made up: what is granted is never exceeded, minimum depth
 * is kept, the readout comes in time, and each way of running out is as documented.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Admission } from "../../engine/budget/admission.ts";
import type { Budget } from "../../engine/budget/budget.ts";
import { frozenClock, realClock, WorkMeter, Timer } from "../../engine/budget/clock.ts";
import { BudgetController, type Spending } from "../../engine/budget/controller.ts";
import { costModel, type ModelShape } from "../../engine/budget/cost.ts";
import { grantBudget, InfeasibleError, SAFETY_MARGIN, msOf, type Grant } from "../../engine/budget/grant.ts";
import { HostPace } from "../../engine/budget/host-pace.ts";
import type { MeasuredExit } from "../../engine/budget/exit-choice.ts";
import { callUnits, planRequest } from "../../engine/budget/plan.ts";
import type { ExitRule } from "../../engine/exit-rule.ts";
import { CALIBRATION, PRICE } from "./requests.ts";

const SHAPE: ModelShape = {
  width: 64,
  heads: 4,
  kvHeads: 4,
  headDim: 16,
  mlpWidth: 128,
  preludeLayers: 1,
  coreLayers: 1,
  codaLayers: 1,
  vocabSize: 100,
  recurrence: { injection: "adapter" },
};
const cost = costModel(SHAPE, CALIBRATION.weights);
const REST_WAKE: ExitRule = { criterion: "rest-wake", threshold: 0.2, wake: 0.3 };
const DEFAULTS = { iterations: 16, maxIterations: 32, tokens: 4, exit: REST_WAKE };

function granted(budget: Budget): Grant {
  return grantBudget({ body: budget }, { defaults: DEFAULTS, calibration: CALIBRATION, price: PRICE });
}

interface Loop {
  /** Of the `rows` that ran iteration t of call `index`, how many run the next; 0 ends the call. */
  readonly next: (index: number, t: number, rows: number) => number;
  /** Tokens until the model stops by itself. */
  readonly stopAfter?: number;
  readonly onIteration?: (index: number, t: number) => void;
}

/** A token loop without a model. Returns iterations of each call. */
function run(controller: BudgetController, promptRows: number, tokens: number, loop: Loop): { calls: number[]; spending: Spending } {
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

/** The latency budget that buys so many units where the clock stands still. */
function careful(units: number): number {
  return msOf(units, CALIBRATION.msPerUnit.p95, CALIBRATION.overheadMs);
}

describe("any loop", () => {
  const scenario = fc.record({
    promptRows: fc.integer({ min: 1, max: 60 }),
    share: fc.double({ min: 0.01, max: 1.5, noNaN: true }),
    tokens: fc.integer({ min: 1, max: 12 }),
    minIterations: fc.integer({ min: 0, max: 4 }),
    totalIterations: fc.option(fc.integer({ min: 1, max: 80 }), { nil: undefined }),
    onExhausted: fc.constantFrom("degrade" as const, "truncate" as const, "error" as const),
    pattern: fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
    withChoice: fc.boolean(),
  });

  it("spends no more than granted, keeps minimum depth, and counts what ran", () => {
    fc.assert(
      fc.property(scenario, ({ promptRows, share, tokens, minIterations, totalIterations, onExhausted, pattern, withChoice }) => {
        const units = share * unitsOf(promptRows, tokens, 16);
        const grant = granted({ units, tokens, minIterations, onExhausted, iterations: 16, ...(totalIterations && { totalIterations }) });
        let controller: BudgetController;
        try {
          controller = controllerOf(grant, promptRows, withChoice ? { measuredExits: MEASURED } : {});
        } catch (error) {
          expect(error).toBeInstanceOf(InfeasibleError);
          return;
        }
        let ran = 0;
        const next = (_i: number, _t: number, rows: number): number => {
          ran += rows;
          const [draw] = pattern.take(1);
          return draw! < 0.05 ? 0 : Math.max(1, Math.round(promptRows * draw!)); // rows rest, and wake again
        };
        const { calls, spending } = run(controller, promptRows, tokens, { next });
        expect(spending.units).toBeLessThanOrEqual(units);
        expect(spending.rowIterations).toBe(ran);
        expect(spending.iterations).toBe(calls.reduce((a, b) => a + b, 0));
        expect(spending.iterations).toBeLessThanOrEqual(totalIterations ?? Infinity);
        expect(calls.length).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });

  it("that never converges uses nearly all of a budget that is worth several iterations", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 4, max: 15 }),
        fc.integer({ min: 1, max: 4 }),
        (promptRows, depth, tokens) => {
          const units = unitsOf(promptRows, tokens, depth);
          const { spending } = run(controllerOf(granted({ units, tokens }), promptRows), promptRows, tokens, never);
          const step = cost.iteration(promptRows, promptRows).units + cost.check("rest-wake", promptRows, promptRows, promptRows).units;
          expect(units - spending.units).toBeLessThan(1.001 * step + (tokens - 1) * (units / 8));
          expect(spending.limitedBy).toBe("cost");
        },
      ),
    );
  });

  it("that ends by itself and hits no limit was limited by nothing", () => {
    const converging: Loop = { next: (_i, t, rows) => (t < 3 ? rows : 0), stopAfter: 2 };
    const { calls, spending } = run(controllerOf(granted({ latencyMs: 1e6 }), 10), 10, 4, converging);
    expect(calls).toEqual([4, 4]);
    expect(spending).toMatchObject({ limitedBy: null, converged: 2, capped: 0 });
  });
});

describe("savings", () => {
  const units = unitsOf(40, 1, 6) * 1.001;
  const budget = { units, tokens: 1, iterations: 32 };

  it("of rows that converge buy further iterations for those that do not", () => {
    const all = run(controllerOf(granted(budget), 40), 40, 1, never);
    const few = run(controllerOf(granted(budget), 40), 40, 1, { next: (_i, t) => (t < 2 ? 40 : 4) });
    expect(all.calls).toEqual([6]);
    expect(few.calls[0]).toBeGreaterThan(20);
    expect(few.spending.units).toBeLessThanOrEqual(units);
  });

  it("of easy tokens flow to hard ones", () => {
    const tokens = 6;
    const grant = granted({ units: unitsOf(4, tokens, 6), tokens, iterations: 32 });
    const hard = run(controllerOf(grant, 4), 4, tokens, never);
    const mixed = run(controllerOf(grant, 4), 4, tokens, { next: (i, t, rows) => (i === 4 || t < 1 ? rows : 0) });
    expect(mixed.calls[4]).toBeGreaterThan(2 * hard.calls[4]!);
  });
});

describe("a budget that is tight", () => {
  const full = unitsOf(20, 4, 16);
  const budget = (share: number, onExhausted: "degrade" | "truncate" | "error"): Budget => ({
    units: full * share,
    tokens: 4,
    iterations: 16,
    onExhausted,
  });

  it("degrade: fewer iterations, all tokens", () => {
    const { calls, spending } = run(controllerOf(granted(budget(0.5, "degrade")), 20), 20, 4, never);
    expect(calls).toHaveLength(4);
    expect(calls[0]).toBeLessThan(16);
    expect(spending.limitedBy).toBe("cost");
  });

  it("truncate: full depth, fewer tokens", () => {
    const { calls, spending } = run(controllerOf(granted(budget(0.9, "truncate")), 20), 20, 4, never);
    expect(calls.length).toBeLessThan(4);
    expect(new Set(calls)).toEqual(new Set([16]));
    expect(spending.limitedBy).toBe("cost");
  });

  it("error: refused, with what all tokens at full depth take", () => {
    const attempt = () => controllerOf(granted(budget(0.99, "error")), 20);
    expect(attempt).toThrow(/4 new tokens at 16 iterations/);
    const { calls } = run(controllerOf(granted(budget(1.01, "error")), 20), 20, 4, never);
    expect(calls).toEqual([16, 16, 16, 16]);
  });

  it("infeasible: refused with the least latency and money that would do", () => {
    try {
      controllerOf(granted({ latencyMs: 1e-6, costUsd: 1e-9 }), 20);
      expect.unreachable();
    } catch (error) {
      const { minimum, param, code } = error as InfeasibleError;
      expect(code).toBe("budget_infeasible");
      expect(param).toMatch(/^budget\.(latency_ms|cost_usd)$/);
      controllerOf(granted({ latencyMs: minimum.latencyMs!, costUsd: minimum.costUsd! }), 20);
      expect(() => controllerOf(granted({ latencyMs: minimum.latencyMs! * 0.99 }), 20)).toThrow(InfeasibleError);
    }
  });
});

describe("the safety margin", () => {
  const units = unitsOf(20, 2, 8);
  const latencyMs = careful(units);

  it("leaves a tenth of the time to what prediction misses", () => {
    const grant = granted({ latencyMs });
    expect(grant.units).toBeCloseTo(units, 12);
    expect(grant.units * CALIBRATION.msPerUnit.p95 + CALIBRATION.overheadMs).toBeCloseTo(latencyMs * (1 - SAFETY_MARGIN), 12);
  });

  it.each([
    { rows: 20, knownMs: 200, when: "that other requests have shown to be so" },
    ...[1, 3, 8, 20, 60, 200].map((rows) => ({ rows, knownMs: 0, when: `that nobody has seen at work, with ${rows} rows` })),
  ])("comes before the deadline on a host half as fast as calibrated $when, if its clock moves", ({ rows, knownMs }) => {
    let now = 0;
    const clock = realClock(() => now);
    const [meter, pace] = [new WorkMeter(), new HostPace(clock)];
    const onWork = (ms: number): void => {
      pace.begin();
      meter.add(ms);
      now += 2 * ms;
      pace.end(ms, true);
    };
    if (knownMs > 0) onWork(knownMs);
    const startMs = now;
    const timer = new Timer(clock, meter);
    const budgetMs = careful(unitsOf(rows, 2, 8));
    const grant = granted({ latencyMs: budgetMs, tokens: 2 });
    const slowdown = (): number => pace.slowdown;
    const { calls, spending } = run(controllerOf(grant, rows, { timer, onWork, slowdown }), rows, 2, never);
    expect(calls).toHaveLength(2);
    expect(now - startMs).toBeLessThanOrEqual(budgetMs);
    expect(spending.limitedBy).toBe("latency");
  });

  it("counts the work of others that share the isolate", () => {
    const meter = new WorkMeter();
    const timer = new Timer(frozenClock(), meter);
    const admission = new Admission();
    const budgetMs = careful(unitsOf(20, 2, 32));
    const grant = granted({ latencyMs: budgetMs, tokens: 2 });
    const leftMs = (): number => grant.latencyMs - timer.elapsedMs;
    const promptUnits = unitsOf(20, 1, 1);
    const need = { promptUnits, tokenUnits: unitsOf(20, 2, 1) - promptUnits, calls: 2 };
    let othersMs = (7 / 8) * grant.latencyMs;
    const others = admission.admit({ leftMs, leastMs: othersMs });
    const reservation = admission.admit({ leftMs, leastMs: promptUnits * grant.msPerUnit, needMs: unitsOf(20, 2, 1) * grant.msPerUnit });
    // for each of its own steps three of the others', as long as they have any left
    const onWork = (ms: number): void => {
      const theirs = Math.min(3 * ms, othersMs);
      othersMs -= theirs;
      meter.add(ms + theirs);
      others.spend(theirs, othersMs, 0);
    };
    const { spending } = run(controllerOf(grant, 20, { timer, onWork, reservation, need }), 20, 2, never);
    expect(othersMs).toBeGreaterThan(0);
    expect(timer.elapsedMs + othersMs).toBeLessThanOrEqual(budgetMs);
    expect(spending.limitedBy).toBe("ceiling");
  });

  it("leaves a request's later tokens what it is to get for them, however much its prompt could use", () => {
    const scenario = fc.record({
      rows: fc.integer({ min: 1, max: 60 }),
      depth: fc.integer({ min: 1, max: 15 }),
      calls: fc.integer({ min: 2, max: 6 }),
      spareMs: fc.double({ min: 0, max: 0.002, noNaN: true }),
    });
    fc.assert(
      fc.property(scenario, ({ rows, depth, calls, spareMs }) => {
        const meter = new WorkMeter();
        const admission = new Admission();
        const grant = granted({ tokens: calls });
        const need = {
          promptUnits: unitsOf(rows, 1, depth),
          tokenUnits: callUnits(cost, 1, rows + calls, depth, REST_WAKE.criterion),
          calls,
        };
        const laterMs = (calls - 1) * need.tokenUnits * grant.msPerUnit;
        const needMs = need.promptUnits * grant.msPerUnit + laterMs;
        const before = (ms: number) => (): number => ms - meter.ms;
        // another, whose turn comes later, leaves hardly any time beyond what both need
        admission.admit({ leftMs: before(2 * needMs + spareMs), leastMs: needMs });
        const reservation = admission.admit({
          leftMs: before(1.9 * needMs),
          leastMs: unitsOf(rows, 1, 1) * grant.msPerUnit,
          needMs,
          laterMs,
        });
        const controller = controllerOf(grant, rows, { onWork: (ms: number) => meter.add(ms), reservation, need });
        const { calls: depths } = run(controller, rows, calls, never);
        expect(depths).toHaveLength(calls);
        expect(Math.min(...depths)).toBeGreaterThanOrEqual(depth);
      }),
    );
  });

  it("is at once when the runtime says stop, and no further token is begun", () => {
    let stopped = false;
    const controller = controllerOf(granted({}), 20, { isCpuLimitNear: () => stopped });
    const { calls, spending } = run(controller, 20, 4, { ...never, onIteration: (i, t) => (stopped ||= i === 1 && t === 2) });
    expect(calls).toEqual([16, 3]);
    expect(spending.limitedBy).toBe("ceiling");
  });

  it("is an error midway, where that was asked for", () => {
    let now = 0;
    const timer = new Timer(
      realClock(() => now),
      new WorkMeter(),
    );
    const controller = controllerOf(
      granted({ latencyMs: careful(unitsOf(20, 4, 16)) * 1.01, onExhausted: "error", iterations: 16, tokens: 4 }),
      20,
      { timer },
    );
    expect(() => run(controller, 20, 4, { ...never, onIteration: () => (now += 1) })).toThrow(/budget ran out/);
  });
});

const MEASURED: readonly MeasuredExit[] = [
  { exit: { criterion: "rest-wake", threshold: 0.9, wake: 2 }, meanIterations: 2, accuracy: 0.7 },
  { exit: { criterion: "rest-wake", threshold: 0.5, wake: 1 }, meanIterations: 4, accuracy: 0.985 },
  { exit: REST_WAKE, meanIterations: 6, accuracy: 0.99 },
];

describe("the exit rule", () => {
  const planned = (depth: number): { controller: BudgetController; exit: ExitRule } => {
    const controller = controllerOf(granted({ units: unitsOf(40, 1, depth), tokens: 1 }), 40, { measuredExits: MEASURED });
    return { controller, exit: controller.plan({ index: 0, rows: 40, cached: 0 })!.exit };
  };

  it("is the card's where the budget surely pays for it, else the cheapest that is as good", () => {
    expect(planned(30).exit).toMatchObject({ threshold: 0.2, wake: 0.3 });
    expect(planned(4).exit).toMatchObject({ threshold: 0.5, wake: 1 });
  });

  it("tightens when most rows rest early, and loosens when none does", () => {
    const ahead = planned(8);
    expect(ahead.exit.threshold).toBe(0.5);
    const tightened = ahead.controller.proceed({ iteration: 1, rows: 40, next: 6, exitValue: 1, readout: false }, ahead.exit);
    expect(tightened?.threshold).toBe(0.2);

    const behind = planned(14);
    expect(behind.exit.threshold).toBe(0.2);
    let loosened: ExitRule | undefined = behind.exit;
    for (let iteration = 1; iteration <= 12 && loosened !== undefined; iteration++)
      loosened = behind.controller.proceed({ iteration, rows: 40, next: 40, exitValue: 1, readout: false }, loosened);
    expect(loosened?.threshold).toBe(0.5);
  });

  it("is the caller's own where one was asked for", () => {
    const own: ExitRule = { criterion: "latent-diff", threshold: 0.1 };
    const controller = controllerOf(granted({ units: unitsOf(40, 1, 4), tokens: 1, exit: own }), 40, { measuredExits: MEASURED });
    expect(controller.plan({ index: 0, rows: 40, cached: 0 })!.exit).toMatchObject(own);
  });
});

describe("a lower budget", () => {
  it("never costs more", () => {
    const loop: Loop = { next: (i, t, rows) => Math.max(i === 0 ? 1 : 0, Math.round(rows * (t < 2 ? 1 : 0.7))) };
    let before = 0;
    for (let share = 0.8; share < 3; share += 0.1) {
      const { spending } = run(
        controllerOf(granted({ units: unitsOf(30, 2, 6) * share, tokens: 2 }), 30, { measuredExits: MEASURED }),
        30,
        2,
        loop,
      );
      expect(spending.units).toBeGreaterThanOrEqual(before);
      before = spending.units;
    }
  });
});
