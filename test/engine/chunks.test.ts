/**
 * Tokens in chunks: the same tokens, depths and spending as step by step, whatever the chunk's size, the rule, the warm
 * start or the budget, and a stepwise end where the backend cannot go on.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { assumedCalibration } from "../../engine/budget/calibration.ts";
import { frozenClock } from "../../engine/budget/clock.ts";
import type { BudgetController } from "../../engine/budget/controller.ts";
import { WORKERS } from "../../engine/budget/price.ts";
import { SharedBudget } from "../../engine/budget/shared-budget.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate, type GeneratedToken, type GenerateOptions } from "../../engine/decode/generate.ts";
import { seededState } from "../../engine/decode/initial-state.ts";
import { FathomError } from "../../engine/errors.ts";
import { NEVER_EXIT, parseExitRule } from "../../engine/exit-rule.ts";
import { FailoverBackend } from "../../engine/failover/backend.ts";
import type { Backend } from "../../engine/port/backend.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import { tinyBackend } from "../schedule/backend.ts";
import { withChains } from "./chain-backend.ts";

let plain: Backend;
beforeAll(async () => {
  plain = await tinyBackend("reference");
});

const BASE: GenerateOptions = {
  prompt: [3, 5, 8, 2],
  maxTokens: 11,
  iterations: 5,
  exit: NEVER_EXIT,
  cache: parseCacheStrategy("full"),
  stopTokens: new Set(),
};

async function run(backend: Backend, options: Partial<GenerateOptions>): Promise<GeneratedToken[]> {
  const tokens: GeneratedToken[] = [];
  for await (const token of generate(backend, { ...BASE, ...options })) tokens.push(token);
  return tokens;
}

const WAYS: [string, () => Partial<GenerateOptions>][] = [
  ["at fixed depth", () => ({})],
  ["with depths by token", () => ({ iterations: (i: number) => 1 + (i % 4) })],
  ["with an exit rule", () => ({ exit: parseExitRule("latent-diff:0.4"), iterations: 12 })],
  ["with raw warm starts", () => ({ warmStart: "raw" as const, exit: parseExitRule("latent-diff:0.3") })],
  ["with normalised warm starts", () => ({ warmStart: "normalised" as const })],
  ["from drawn states", () => ({ initialState: seededState(plain.config, 3) })],
];

describe("tokens in chunks", () => {
  for (const [name, way] of WAYS)
    it(`are those made step by step, ${name}`, async () => {
      const expected = await run(plain, way());
      for (const size of [1, 3, 4, 16])
        for (const ahead of [true, false]) expect(await run(withChains(plain), { ...way(), chunks: { size, ahead } })).toEqual(expected);
    });

  it("end with a stop token wherever it comes", async () => {
    const all = await run(plain, {});
    for (const stop of all) {
      const stopTokens = new Set([stop.token]);
      const expected = await run(plain, { stopTokens });
      for (const ahead of [true, false]) expect(await run(withChains(plain), { stopTokens, chunks: { size: 3, ahead } })).toEqual(expected);
    }
  });

  it("go on step by step from wherever the chain falls short, warm starts included", async () => {
    for (const warmStart of ["off", "raw", "normalised"] as const) {
      const expected = await run(plain, { warmStart });
      for (const most of [0, 1, 3, 4, 9])
        for (const ahead of [true, false])
          expect(await run(withChains(plain, most), { warmStart, chunks: { size: 4, ahead } })).toEqual(expected);
    }
  });

  it("are asked for only where nothing has to be decided in between", async () => {
    const asked = async (options: Partial<GenerateOptions>): Promise<number> => {
      const backend = withChains(plain);
      await run(backend, options);
      return backend.asked.length;
    };
    expect(await asked({})).toBeGreaterThan(0);
    expect(await asked({ sampling: { temperature: 0.5 } })).toBe(0);
    expect(await asked({ sampling: { repetitionPenalty: 1.2 } })).toBe(0);
    expect(await asked({ logprobs: 0 })).toBe(0);
    expect(await asked({ exit: parseExitRule("kl:0.01") })).toBe(0);
    expect(await asked({ maxTokens: 1 })).toBe(0);
  });

  it("are the same through lanes of a scheduler, beside a request that goes step by step", async () => {
    const expected = [await run(plain, {}), await run(plain, { sampling: { temperature: 0.8 } })];
    const scheduler = new Scheduler(withChains(plain));
    const together = await Promise.all([run(scheduler.lane(), {}), run(scheduler.lane(), { sampling: { temperature: 0.8 } })]);
    expect(together).toEqual(expected);
  });

  it("survive a backend that goes away in any chunk", async () => {
    for (const warmStart of ["off", "raw"] as const) {
      const expected = await run(plain, { warmStart });
      for (let chunk = 0; chunk < 4; chunk++)
        for (const ahead of [true, false]) {
          const primary = withChains(await tinyBackend("reference"));
          const make = primary.makeTokens!;
          let calls = 0;
          primary.makeTokens = async (chains, limits) => {
            if (calls++ === chunk) throw new FathomError("unavailable", "The device broke.");
            return make(chains, limits);
          };
          const backend = new FailoverBackend(
            primary,
            () => tinyBackend("reference"),
            () => undefined,
          );
          expect(await run(backend, { warmStart, chunks: { size: 3, ahead } })).toEqual(expected);
          expect(backend.primary).toBeUndefined();
        }
    }
  });

  it("leave nothing behind", async () => {
    const before = plain.memory().usedBytes;
    await run(withChains(plain), {});
    for await (const _ of generate(withChains(plain), BASE)) break;
    expect(plain.memory().usedBytes).toBe(before);
  });
});

describe("chunks under a budget", () => {
  const controllerOf = (units: number, tokens: number, totalIterations: number | undefined): BudgetController => {
    const clock = frozenClock();
    const shared = new SharedBudget({ shape: plain.config, calibration: assumedCalibration("reference"), clock });
    const grant = shared.grant(
      { body: { units, tokens, ...(totalIterations !== undefined && { totalIterations }) } },
      { iterations: 6, maxIterations: 12, tokens, exit: parseExitRule("latent-diff:0.3") },
      WORKERS,
    );
    return shared.open(grant, BASE.prompt.length, shared.arrive());
  };
  const spendingOf = async (backend: Backend, controller: BudgetController, tokens: number, size: number): Promise<unknown> => {
    const made = await run(backend, { policy: controller, maxTokens: tokens, chunks: { size } });
    const last = made.at(-1)!;
    return { made, spending: controller.report(last.finish!, made.length) };
  };

  it("give the same tokens, depths, spending and reason as step by step", async () => {
    const scenario = fc.record({
      share: fc.double({ min: 1.01, max: 12, noNaN: true }),
      tokens: fc.integer({ min: 1, max: 9 }),
      total: fc.option(fc.integer({ min: 9, max: 60 }), { nil: undefined }),
      size: fc.integer({ min: 1, max: 8 }),
    });
    const least = leastUnits();
    await fc.assert(
      fc.asyncProperty(scenario, async ({ share, tokens, total, size }) => {
        const units = least * share;
        const alone = await spendingOf(plain, controllerOf(units, tokens, total), tokens, size);
        const chained = await spendingOf(withChains(plain), controllerOf(units, tokens, total), tokens, size);
        expect(chained).toEqual(alone);
        expect((chained as { spending: { units: number } }).spending.units).toBeLessThanOrEqual(units);
      }),
      { numRuns: 60 },
    );
  });

  /** What the prompt and one token need at least. */
  const leastUnits = (): number => {
    try {
      controllerOf(1e-9, 1, undefined);
    } catch (error) {
      return (error as { minimum: { units: number } }).minimum.units;
    }
    throw new Error("A budget of nothing is feasible.");
  };
});
