/**
 * What requests of one isolate share: clocks, the hard stop, reservations, and work that comes too late; and random runs.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../../engine/port/backend.ts";
import { Admission } from "../../engine/budget/admission.ts";
import { frozenClock, ioClock, realClock, Timer, WorkMeter } from "../../engine/budget/clock.ts";
import type { BudgetController } from "../../engine/budget/controller.ts";
import { CpuLimit } from "../../engine/budget/cpu-limit.ts";
import { SharedBudget } from "../../engine/budget/shared-budget.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate } from "../../engine/decode/generate.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { parseConfig } from "../../engine/model/config.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import { TINY_CONFIG } from "../engine/files.ts";
import { tinyBackend } from "../schedule/backend.ts";
import { CALIBRATION, PRICE } from "./requests.ts";
import { runBudgets } from "./runs.ts";

describe("a timer", () => {
  it("never falls and is never NaN, whatever its clock does", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.double(), fc.double({ min: -100, max: 100 }))), (readings) => {
        let at = 0;
        const timer = new Timer(
          realClock(() => readings[at++ % Math.max(1, readings.length)] ?? 0),
          new WorkMeter(),
        );
        let before = 0;
        for (let i = 0; i < readings.length; i++) {
          const { elapsedMs } = timer;
          expect(elapsedMs).toBeGreaterThanOrEqual(before);
          before = elapsedMs;
        }
      }),
    );
  });

  it("is the predicted work while the clock stands, and the clock where that is ahead", () => {
    const meter = new WorkMeter();
    let now = 5;
    const clock = ioClock(() => now);
    const timer = new Timer(clock, meter);
    meter.add(3);
    expect(timer.elapsedMs).toBe(3);
    now = 15;
    expect(timer.elapsedMs).toBe(3);
    clock.sync();
    expect(timer.elapsedMs).toBe(10);
    expect(new Timer(frozenClock(), meter).elapsedMs).toBe(0);
  });

  it("adds the work since the clock last moved, where the meter sees the same clock", () => {
    let now = 5;
    const clock = ioClock(() => now);
    const meter = new WorkMeter(clock);
    const timer = new Timer(clock, meter);
    meter.add(3);
    now = 25;
    clock.sync();
    expect(timer.elapsedMs, "work before the clock moved is in what it shows").toBe(20);
    meter.add(30);
    meter.add(2);
    expect(timer.elapsedMs, "work after it is not").toBe(52);
    expect(new Timer(clock, meter).elapsedMs, "of what began afterwards").toBe(0);
    now = 40;
    clock.sync();
    expect(timer.elapsedMs, "never falls").toBe(52);
    meter.add(1);
    expect(timer.elapsedMs).toBe(52);
    now = 90;
    clock.sync();
    expect(timer.elapsedMs).toBe(85);
  });

  it("is never told twice what a clock shows that moves", () => {
    let now = 0;
    const clock = realClock(() => now);
    const meter = new WorkMeter(clock);
    const timer = new Timer(clock, meter);
    now = 7;
    meter.add(4);
    expect(timer.elapsedMs).toBe(7);
  });
});

describe("a place for a request whose text is not read", () => {
  const GRANT = { iterations: 6, maxIterations: 10, tokens: 4, exit: { criterion: "latent-diff", threshold: 0 } } as const;

  it("is left by whoever comes meanwhile, and free once it is given back", () => {
    const shared = new SharedBudget({ shape: parseConfig(TINY_CONFIG), calibration: CALIBRATION, clock: frozenClock() });
    const alone = shared.grant({}, GRANT, PRICE);
    const needMs = shared.cost.iteration(200, 200).units * GRANT.iterations * alone.msPerUnit;
    const grant = shared.grant({ body: { latencyMs: 2 * needMs } }, GRANT, PRICE);
    const timer = shared.arrive();
    const places = [];
    while (places.length < 10)
      try {
        places.push(shared.expect(grant, timer, 200));
      } catch {
        break;
      }
    expect(places.length).toBeGreaterThan(0);
    expect(places.length).toBeLessThan(4);
    const open = (): BudgetController => shared.open(grant, 200, shared.arrive());
    expect(open).toThrow("requests to serve first");
    for (const place of places) place.release();
    expect(shared.admission.taken).toBe(0);
    expect(open).not.toThrow();
  });
});

describe("the account of work, where no clock moves", () => {
  const GRANT = { iterations: 6, maxIterations: 10, tokens: 4, exit: { criterion: "latent-diff", threshold: 0 } } as const;
  const opened = (): { shared: SharedBudget; policy: BudgetController } => {
    const shared = new SharedBudget({ shape: parseConfig(TINY_CONFIG), calibration: CALIBRATION, clock: frozenClock() });
    return { shared, policy: shared.open(shared.grant({}, GRANT, PRICE), 10, shared.arrive()) };
  };
  const step = { iteration: 1, rows: 10, next: 10, exitValue: 1, readout: false } as const;

  it("takes nobody's time for what has only been planned, nor for what was dropped before its turn", () => {
    const { shared, policy } = opened();
    const other = shared.arrive();
    const plan = policy.plan({ index: 0, rows: 10, cached: 0 })!;
    expect(policy.spentUnits).toBeGreaterThan(0);
    expect(other.elapsedMs).toBe(0);
    policy.proceed(step, plan.exit);
    expect(other.elapsedMs).toBeCloseTo(policy.spentUnits * CALIBRATION.msPerUnit.p95, 9);
    const dropped = opened();
    dropped.policy.plan({ index: 0, rows: 10, cached: 0 });
    dropped.policy.expire();
    expect([dropped.policy.spentUnits, dropped.shared.meter.ms]).toEqual([0, 0]);
  });

  it("is of the calls that are made, where a scheduler makes them", () => {
    const { shared, policy } = opened();
    const other = shared.arrive();
    const plan = policy.plan({ index: 0, rows: 10, cached: 0 })!;
    shared.pace.begin();
    shared.pace.end(3, true);
    shared.pace.add(1);
    policy.proceed(step, plan.exit);
    expect(other.elapsedMs).toBe(4);
  });
});

describe("the hard stop", () => {
  it("reaches all requests in flight, and none that come later", () => {
    let word = 0;
    const stop = new CpuLimit({ read: () => word, clear: () => void (word = 0) });
    const [first, second] = [stop.watch(), stop.watch()];
    expect([first(), second()]).toEqual([false, false]);
    word = 24;
    expect(first()).toBe(true);
    expect(word).toBe(0);
    const later = stop.watch();
    expect([first(), second(), later()]).toEqual([true, true, false]);
  });

  it("heeds 24 alone", () => {
    const stop = new CpuLimit({ read: () => 7, clear: () => expect.unreachable() });
    expect(stop.watch()()).toBe(false);
  });
});

describe("admission", () => {
  const request = (leftMs: number, leastMs: number, needMs = leastMs) => ({ leftMs: () => leftMs, leastMs, needMs });

  it("refuses whom it cannot serve in time, with what would do", () => {
    const admission = new Admission();
    admission.admit(request(10, 8));
    expect(() => admission.admit(request(12, 5))).toThrow(/at least 13 ms/);
    admission.admit(request(13, 5));
    expect(admission.taken).toBe(2);
  });

  it("keeps the newcomer's own deadline, though the clock moves while it is looked at", () => {
    const admission = new Admission();
    let nowMs = 0;
    const moving = (): { leftMs: () => number; leastMs: number } => ({ leftMs: () => 50 - (nowMs += 0.001), leastMs: 10 });
    for (let i = 0; i < 4; i++) admission.admit(moving());
    expect(() => admission.admit(moving())).toThrow(/requests to serve first: 4/);
    expect(admission.taken).toBe(4);
  });

  it("judges newcomers by the requests that come, and those who are in by their own work alone", () => {
    let comingMs = 0;
    const admission = new Admission({ comingMs: () => comingMs });
    const first = admission.admit(request(20, 2, 8));
    expect(() => admission.admit(request(20, 8))).not.toThrow();
    expect(() => admission.admit(request(20, 3))).not.toThrow(); // 8 + 8 + 3
    expect(() => admission.admit(request(20, 2))).toThrow(/serve first/);
    comingMs = 30;
    expect(() => admission.admit(request(40, 1))).toThrow(/serve first/);
    expect(() => admission.admit(request(60, 1))).not.toThrow(); // so many milliseconds, however much is to be done
    expect(first.allows(6)).toBe(true);
  });

  it("refuses whom it could serve only by making another late", () => {
    const admission = new Admission();
    admission.admit(request(10, 8));
    expect(() => admission.admit(request(5, 4))).toThrow(/serve first/);
    expect(() => admission.admit(request(5, 2))).not.toThrow();
  });

  it("names a budget that would do, time that has passed and the safety margin included", () => {
    const admission = new Admission();
    const late = { leftMs: () => -0.2, leastMs: 1.8, budgetFor: (leftMs: number) => (2 + leftMs) / 0.9 };
    expect(() => admission.admit(late)).toThrow(
      "Of the latency budget 0.0 ms are left, and this request needs 1.8 ms. Allow at least 5 ms",
    );
  });

  it("lets requests without a deadline in, and makes nobody wait for them", () => {
    const admission = new Admission();
    for (let i = 0; i < 5; i++) admission.admit(request(Infinity, 1000));
    expect(() => admission.admit(request(3, 2))).not.toThrow();
  });

  it("allows thinking beyond the minimum only as long as the others' minimum still fits", () => {
    const admission = new Admission();
    const mine = admission.admit(request(10, 2));
    const other = admission.admit(request(12, 6));
    expect(mine.allows(4)).toBe(true);
    expect(mine.allows(5)).toBe(false);
    other.release();
    expect(mine.allows(5)).toBe(true);
  });

  it("lets in a tenth more than all would need at most, as not all do, but of each by itself no more", () => {
    const admission = new Admission();
    const admit = (ms: number): unknown => admission.admit({ leftMs: () => ms, leastMs: 1, needMs: 6 });
    // each has its least, nine tenths of the five beyond it, and the tenth of one of them
    expect(() => admit(5.9)).toThrow("this request needs 6.0 ms");
    for (let count = 1; count <= 8; count++) admit(5.5 * count + 0.5);
    expect(() => admit(5.5 * 8 + 0.5)).toThrow("requests to serve first: 8");
    expect(() => admit(5.5 * 9 + 0.4)).toThrow("requests to serve first: 8");
    expect(() => admit(5.5 * 9 + 0.5)).not.toThrow();
  });

  it("gives everybody what they need before anybody may have more, and at worst everybody their least", () => {
    const admission = new Admission();
    const mine = admission.admit(request(10, 1, 4));
    const other = admission.admit(request(20, 2, 12));
    expect(mine.spareMs).toBe(3 + 4);
    expect(() => admission.admit(request(20, 1, 5))).toThrow(/serve first/);
    other.spend(10, 1, 0); // it needed less than it might have
    expect(mine.spareMs).toBe(9);
  });

  it("reckons with a host that is slower than predicted", () => {
    let slowdown = 1;
    const admission = new Admission({ slowdown: () => slowdown });
    const mine = admission.admit(request(10, 1, 4));
    slowdown = 3;
    expect(() => admission.admit(request(10, 1, 1))).toThrow(/serve first/);
    expect(mine.spareMs).toBeCloseTo(7 / 3);
    expect(admission.slackMs).toBe(0);
  });

  it("is not held up by who is late already, such as a reader that has paused", () => {
    const admission = new Admission();
    let left = 10;
    admission.admit({ leftMs: () => left, leastMs: 4 });
    expect(admission.slackMs).toBe(6);
    left = -1;
    expect(admission.slackMs, "only just").toBe(0);
    left = -21;
    expect(admission.slackMs).toBe(Infinity);
    expect(() => admission.admit(request(8, 4))).not.toThrow();
    expect(admission.slackMs).toBe(0);
  });

  it("counts those without a deadline, and whoever waits for work that they have begun", () => {
    const admission = new Admission({ blockMs: 2 });
    admission.admit(request(5, 4)).release();
    const endless = admission.admit(request(Infinity, 1000));
    expect(admission.taken).toBe(1);
    expect(() => admission.admit(request(5, 4))).toThrow(/at least 6 ms/);
    endless.release();
    endless.release();
    expect(admission.taken).toBe(0);
  });

  it("keeps every minimum in time, however the others spend what they are allowed", () => {
    const request = fc.record({
      left: fc.integer({ min: 1, max: 50 }),
      minimum: fc.integer({ min: 1, max: 20 }),
      wish: fc.integer({ min: 0, max: 30 }),
    });
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 8 }), (requests) => {
        let now = 0;
        const admission = new Admission();
        const admitted = requests.flatMap(({ left, minimum, wish }) => {
          try {
            return [{ left, minimum, wish, reservation: admission.admit({ leftMs: () => left - now, leastMs: minimum }) }];
          } catch {
            return [];
          }
        });
        // earliest deadline first, as the scheduler serves
        for (const one of admitted.toSorted((a, b) => a.left - b.left)) {
          for (let more = 0; more < one.wish && one.reservation.allows(1); more++) now++;
          now += one.minimum;
          expect(now).toBeLessThanOrEqual(one.left);
          one.reservation.release();
        }
      }),
    );
  });
});

describe("queued work", () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await tinyBackend("reference");
  });

  const tokens = async (lane: Backend): Promise<number> => {
    let count = 0;
    const options = {
      prompt: [3, 4],
      maxTokens: 3,
      iterations: 2,
      exit: NEVER_EXIT,
      cache: parseCacheStrategy("full"),
      stopTokens: new Set<number>(),
    };
    for await (const _ of generate(lane, options)) count++;
    return count;
  };

  it("that is past its deadline is dropped, not run; others go on", async () => {
    const scheduler = new Scheduler(backend);
    const late = tokens(scheduler.lane({ isOverdue: () => true }));
    const other = tokens(scheduler.lane());
    await expect(late).rejects.toMatchObject({ code: "budget_exhausted" });
    expect(await other).toBe(3);
    expect(scheduler.calls.prelude).toBe(3);
    expect(backend.memory().owners["kv cache"] ?? 0).toBe(0);
  });

  it("that has begun may end", async () => {
    const scheduler = new Scheduler(backend);
    let asked = 0;
    const late = tokens(scheduler.lane({ isOverdue: () => asked++ > 0 }));
    await expect(late).rejects.toMatchObject({ code: "budget_exhausted" });
    expect(scheduler.calls.readout).toBe(1);
  });
});

describe("random requests with random budgets under random loads and clocks", () => {
  it.each(["reference", "wasm"])("on the %s backend", async (name) => {
    const backend = await tinyBackend(name);
    const seed = 20;
    for (let run = 0; run < 120; run++) expect((await runBudgets(backend, seed, run)).failures, `run ${run}, seed ${seed}`).toEqual([]);
  });
});
