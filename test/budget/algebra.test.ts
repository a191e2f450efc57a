/**
 * The budget algebra's laws on random budgets, and the header forms.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isWithin, mergeBudgets, mergeSources, ON_EXHAUSTED, type Budget } from "../../engine/budget/budget.ts";
import { grantBudget } from "../../engine/budget/grant.ts";
import { CALIBRATION, DEFAULTS, PRICE } from "./requests.ts";
import { headerBudget, parseBudgetHeader, readBudgetHeaders } from "../../worker/budget-headers.ts";
import { EXIT_CRITERIA } from "../../engine/exit-rule.ts";

const amount = fc.double({ min: 0, max: 1e6, noNaN: true });
const count = fc.integer({ min: 1, max: 1000 });
const exit = fc
  .record({ criterion: fc.constantFrom(...EXIT_CRITERIA), threshold: fc.constantFrom(0, 0.01, 0.1, 0.5, 5), wake: fc.constantFrom(0.1, 1) })
  .map(({ wake, ...rule }) => (rule.criterion === "rest-wake" ? { ...rule, wake } : rule));
const budget = fc.record(
  {
    latencyMs: amount,
    costUsd: amount,
    units: amount,
    iterations: count,
    totalIterations: count,
    tokens: count,
    minIterations: fc.integer({ min: 0, max: 9 }),
    minQuality: fc.constantFrom(0, 0.5, 0.9, 1),
    exit,
    onExhausted: fc.constantFrom(...ON_EXHAUSTED),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Budget>;

describe("merging budgets", () => {
  it("is associative, commutative and idempotent, with the empty budget as its unit", () => {
    fc.assert(
      fc.property(budget, budget, budget, (a, b, c) => {
        expect(mergeBudgets(mergeBudgets(a, b), c)).toEqual(mergeBudgets(a, mergeBudgets(b, c)));
        expect(mergeBudgets(a, b)).toEqual(mergeBudgets(b, a));
        expect(mergeBudgets(a, a)).toEqual(a);
        expect(mergeBudgets(a, {})).toEqual(a);
      }),
    );
  });

  it("only lowers: the result is within every part, and a stricter part never gives a laxer result", () => {
    fc.assert(
      fc.property(budget, budget, budget, (a, b, c) => {
        expect(isWithin(mergeBudgets(a, b), a)).toBe(true);
        expect(isWithin(mergeBudgets(a, b, c), mergeBudgets(b, c))).toBe(true);
      }),
    );
  });

  it("drops no field that anybody set", () => {
    fc.assert(
      fc.property(budget, budget, (a, b) => {
        expect(Object.keys(mergeBudgets(a, b)).toSorted()).toEqual([...new Set([...Object.keys(a), ...Object.keys(b)])].toSorted());
      }),
    );
  });

  it("knows in which fields the deployment allows less than was asked for", () => {
    const { budget: merged, lowered } = mergeSources({
      ceiling: { latencyMs: 100, iterations: 16 },
      key: { tokens: 8 },
      header: { latencyMs: 50 },
      body: { iterations: 32, tokens: 8 },
      effort: { iterations: 24 },
    });
    expect(merged).toEqual({ latencyMs: 50, iterations: 16, tokens: 8 });
    expect([...lowered]).toEqual(["iterations"]);
  });
});

describe("the header X-Budget", () => {
  it("reads every field", () => {
    expect(
      parseBudgetHeader(
        'latency-ms=150, cost-usd=0.00001,iterations=16, total-iterations=600, min-quality=0.9, max-completion-tokens=64, exit=rest-wake;threshold=0.1;wake=0.3;min-iterations=2, on-exhausted="truncate"',
      ),
    ).toEqual({
      latencyMs: 150,
      costUsd: 0.00001,
      iterations: 16,
      totalIterations: 600,
      minQuality: 0.9,
      tokens: 64,
      exit: { criterion: "rest-wake", threshold: 0.1, wake: 0.3 },
      minIterations: 2,
      onExhausted: "truncate",
    });
  });

  it("takes the stricter of repeated keys", () => {
    expect(parseBudgetHeader("iterations=16, iterations=4, iterations=8")).toEqual({ iterations: 4 });
  });

  it.each([
    ["latency=150", /has latency, which there is not/],
    ["latency-ms", /latency-ms=true/],
    ["latency-ms=-1", /above 0/],
    ["latency-ms=abc", /above 0/],
    ["latency-ms=150,", /not a structured dictionary/],
    ["latency-ms=150 iterations=2", /not a structured dictionary/],
    ["Latency-ms=150", /not a structured dictionary/],
    ["iterations=2.5", /whole number/],
    ["exit=kl;min-iterations=3.7", /has exit;min-iterations=3.7; it must be a whole number/],
    ["exit=kl;criterion=none", /exit;criterion/],
    ["exit=kl;threshold=-1", /exit;threshold=-1/],
    ["iterations=2;x=1", /gives iterations a parameter/],
    ["exit=magic", /has exit=magic/],
    ["exit=kl;depth=2", /exit;depth/],
    ["on-exhausted=explode", /one of degrade, truncate, error/],
  ])("refuses %s", (text, message) => {
    expect(() => parseBudgetHeader(text)).toThrow(message);
  });

  it("is held to the model's ranges where the model is known, like a body", () => {
    const card = { maxIterations: 8, exitRule: { criterion: "kl", threshold: 0.5 } } as const;
    expect(parseBudgetHeader("iterations=8, exit=kl", card)).toEqual({ iterations: 8, exit: { criterion: "kl", threshold: 0.5 } });
    expect(() => parseBudgetHeader("iterations=9", card)).toThrow(/iterations=9; it must be a whole number from 1 to 8/);
    expect(() => parseBudgetHeader("exit=kl;min-iterations=9", card)).toThrow(/from 0 to 8/);
  });

  it("never throws anything but a named error", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseBudgetHeader(text);
        } catch (error) {
          expect(error).toMatchObject({ code: "invalid_request", param: "X-Budget" });
        }
      }),
    );
  });
});

describe("other headers", () => {
  const read = (headers: Record<string, string>) => readBudgetHeaders((name) => headers[name]);

  it("take Prefer: wait and the SDK's timeout as upper bounds", () => {
    expect(read({ prefer: "respond-async, wait=2" })).toMatchObject({ bounds: { latencyMs: 2000 }, preferenceApplied: "wait=2" });
    expect(read({ "x-stainless-timeout": "600" })).toMatchObject({ bounds: { latencyMs: 600_000 }, preferenceApplied: undefined });
    const all = read({ prefer: "wait=10", "x-stainless-timeout": "5", "x-budget": "latency-ms=7000, iterations=3" });
    expect(headerBudget(all)).toEqual({ latencyMs: 7000, iterations: 3 });
    expect(all.bounds).toEqual({ latencyMs: 5000 });
  });

  it("grant no more than would be granted without them", () => {
    const terms = { defaults: DEFAULTS, calibration: CALIBRATION, price: PRICE };
    const budget = fc.record({
      latencyMs: fc.double({ min: 1, max: 1e6, noNaN: true }),
      costUsd: fc.double({ min: 1e-6, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.record({ body: budget, header: budget }, { requiredKeys: [] }), budget, (sources, said) => {
        const without = grantBudget(sources, terms);
        for (const added of [{ bounds: said }, { ceiling: said }, { key: said }]) {
          const bounded = grantBudget({ ...sources, ...added }, terms);
          for (const field of ["iterations", "units", "latencyMs", "tokens"] as const)
            expect(bounded[field], `${field} with ${JSON.stringify(added)}`).toBeLessThanOrEqual(without[field]);
        }
      }),
    );
  });

  it("pass over preferences that they do not understand", () => {
    expect(read({ prefer: "wait=soon, handling=lenient", "x-stainless-timeout": "never" })).toEqual({
      bounds: {},
      preferenceApplied: undefined,
    });
  });
});
