/**
 * What each option of createApp may hold, what it must not, and what it does: the documentation, as a fuzzer can draw
 * from it. Independent of the schemas under test.
 */
import type { Budget } from "../../engine/budget/budget.ts";
import type { Model } from "../../engine/port/model.ts";
import type { Dice } from "./dice.ts";

/** What an app of these options must do. Options that are not given leave their default. */
export interface Expected {
  /** Keys that open; undefined: open to everyone; [] with `isBroken`: a verifier that lets nobody in. */
  keys?: readonly string[];
  /** A function that decides fails: every request that needs it is refused with 500. */
  verifierFails?: boolean;
  keyBudgetFails?: boolean;
  keyBudget?: Budget;
  iterations: number;
  tokens: number;
  maxBodyBytes: number;
  /** The origin that is let in, "*" for all; null: none. */
  origin: string | null;
  hosts?: readonly string[];
  /** Completions that an observer was told of. */
  told?: () => number;
}

export interface OptionSpec {
  /** A right value, and its effect on what is expected. */
  right(dice: Dice, expected: Expected): unknown;
  readonly wrong: readonly unknown[];
}

export const ORIGIN = "https://shop.test";
const KEYS = ["k1", "sk-live_0.~+/==", "abc"];
const boom = (): never => {
  throw new Error("boom");
};
const rejected = () => Promise.reject(new Error("boom"));
const never = () => new Promise<never>(() => undefined);

/** Values that are wrong for almost every option. */
const JUNK: readonly unknown[] = [null, "4", "", NaN, -1, true, Symbol("s"), 4n, [], new Date(0), new Map(), Promise.resolve(4), [4]];
const NOT_NUMBERS = [...JUNK, {}, () => 4, -0.5, 0, 1.5, -Infinity];
const NOT_FUNCTIONS = [...JUNK, {}, 0, Infinity, { call: () => 4 }];

/** A value as it is, or as the promise that some functions may give. */
const now = (value: unknown) => () => value;
const later = (value: unknown) => async () => value;

function verifier(dice: Dice, expected: Expected): unknown {
  const key = dice.of(KEYS);
  const isRight = (given: string): boolean => given === key;
  expected.keys = [key];
  if (dice.chance(0.4)) return dice.chance(0.5) ? isRight : async (given: string) => isRight(given);
  expected.verifierFails = true;
  const nonsense = dice.of(["no", "true", 1, {}, [], undefined, null, () => true]);
  return dice.of<unknown>([now(nonsense), later(nonsense), boom, rejected, never, () => new Proxy({}, { get: boom }), Promise]);
}

function budget(dice: Dice): Budget {
  return {
    ...(dice.chance(0.5) && { iterations: 1 + dice.below(9) }),
    ...(dice.chance(0.3) && { tokens: 1 + dice.below(9) }),
    ...(dice.chance(0.2) && { latencyMs: 1e6 + dice.below(1e6) }),
    ...(dice.chance(0.2) && { costUsd: 1 + dice.below(9) }),
    ...(dice.chance(0.2) && { exit: { criterion: "none", threshold: 0 } as const }),
    ...(dice.chance(0.2) && { onExhausted: dice.of(["degrade", "truncate", "error"] as const) }),
  };
}

function lower(expected: Expected, { iterations = Infinity, tokens = Infinity }: Budget): void {
  expected.iterations = Math.min(expected.iterations, iterations);
  expected.tokens = Math.min(expected.tokens, tokens);
}

function keyBudget(dice: Dice, expected: Expected): unknown {
  if (dice.chance(0.5)) {
    const given = dice.chance(0.2) ? undefined : budget(dice);
    expected.keyBudget = given ?? {};
    return dice.of([now(given), later(given), () => new Proxy(given ?? {}, {})]);
  }
  expected.keyBudgetFails = true;
  const nonsense = dice.of([
    null, 4, "none", [], true, { latency_ms: 5 }, { iterations: "2" }, { iterations: NaN }, { tokens: Promise.resolve(2) },
    { exit: "none" }, { iteration: 2 }, Promise.resolve({ iterations: NaN }), new Map([["iterations", 2]]),
  ]); // prettier-ignore
  return dice.of<unknown>([now(nonsense), later(nonsense), boom, rejected, never]);
}

const BAD_BUDGETS = [
  { latency_ms: 5 }, { latencyMs: NaN }, { latencyMs: 0 }, { costUsd: "1" }, { iterations: 0 }, { iterations: 1.5 }, { tokens: -1 },
  { totalIterations: Infinity }, { minIterations: "0" }, { minQuality: 1.1 }, { exit: "none" }, { exit: { criterion: "boredom", threshold: 0 } },
  { exit: { criterion: "kl" } }, { onExhausted: "panic" }, { iteration: 4 },
]; // prettier-ignore

const LIMITS: Readonly<Record<string, OptionSpec>> = {
  "limits.maxIterations": {
    right(dice, expected) {
      const most = dice.chance(0.2) ? Infinity : 1 + dice.below(9);
      lower(expected, { iterations: most });
      return most;
    },
    wrong: NOT_NUMBERS,
  },
  "limits.maxCompletionTokens": {
    right(dice, expected) {
      const most = dice.chance(0.2) ? Infinity : 1 + dice.below(9);
      lower(expected, { tokens: most });
      return most;
    },
    wrong: NOT_NUMBERS,
  },
  "limits.maxChoices": { right: (dice) => 1 + dice.below(9), wrong: [...NOT_NUMBERS, Infinity] },
  "limits.maxBodyBytes": {
    right: (dice, expected) => (expected.maxBodyBytes = dice.of([10, 200, 5000])),
    wrong: [...NOT_NUMBERS, Infinity],
  },
  "limits.budget": {
    right(dice, expected) {
      const given = budget(dice);
      lower(expected, given);
      return given;
    },
    wrong: [...JUNK, 0, Infinity, () => ({}), ...BAD_BUDGETS],
  },
};

const CALLBACKS: Readonly<Record<string, OptionSpec>> = {
  keyBudget: { right: keyBudget, wrong: [...NOT_FUNCTIONS, { iterations: 2 }] },
  onCompletion: {
    right(dice, expected) {
      let told = 0;
      expected.told = () => told;
      const react = dice.of<() => unknown>([now(5), later(5), boom, rejected, never, () => new Proxy({}, { get: boom })]);
      return (event: any) => {
        told++;
        if (dice.chance(0.5)) event.report.completionTokens = 1e9;
        return react();
      };
    },
    wrong: NOT_FUNCTIONS,
  },
  onError: { right: (dice) => dice.of([now(0), boom, rejected, never]), wrong: NOT_FUNCTIONS },
  breathe: { right: (dice) => dice.of<unknown>([later(undefined), now(undefined), boom, rejected, never]), wrong: NOT_FUNCTIONS },
  clock: {
    right(dice) {
      let at = 0;
      const read = dice.of<() => unknown>([() => at++, () => at--, boom, now(NaN), now("noon"), later(4), () => performance.now()]);
      return dice.chance(0.5) ? { now: read } : { now: read, moves: dice.chance(0.5) };
    },
    wrong: [...JUNK, {}, 0, { now: 5 }, { now: () => 0, moves: "yes" }, { now: () => 0, moves: 1 }, () => 0],
  },
};

const ACCESS: Readonly<Record<string, OptionSpec>> = {
  apiKeys: {
    right(dice, expected) {
      if (dice.chance(0.5)) return verifier(dice, expected);
      return (expected.keys = KEYS.slice(0, 1 + dice.below(KEYS.length)));
    },
    wrong: [
      ...JUNK, "k1", "k1,k2", {}, 0, new Set(["k1"]), { 0: "k1", length: 1 }, [""], ["a b"], ["k1", "k1"], ["ключ"], ["k1", undefined],
      [() => true], [["k1"]], ["=k"], ["k1,k2"], [" k1"],
    ], // prettier-ignore
  },
  cors: {
    right(dice, expected) {
      const [origin, allowed] = dice.of<[unknown, string | null]>([
        ["*", "*"], [ORIGIN, ORIGIN], [["https://a.test", ORIGIN], ORIGIN], ["https://a.test", null], [(o: string) => o, ORIGIN],
        [async (o: string) => o, ORIGIN], [now(undefined), null], [now(true), null], [later({}), null], [boom, null], [rejected, null], [never, null],
      ]); // prettier-ignore
      expected.origin = allowed;
      return { origin, ...(dice.chance(0.2) && { maxAge: 60 }), ...(dice.chance(0.2) && { allowHeaders: ["X-A"] }) };
    },
    wrong: [
      ...JUNK, {}, 0, ORIGIN, { origins: ORIGIN }, { origin: `${ORIGIN}/` }, { origin: "*.shop.test" }, { origin: [] }, { origin: ["*"] },
      { origin: true }, { origin: "*", credentials: true }, { origin: "*", maxAge: "60" }, { origin: "*", allow_headers: [] }, { origin: "null" },
    ], // prettier-ignore
  },
  allowedHosts: {
    right: (dice, expected) => (expected.hosts = dice.of([["localhost"], ["localhost", "fathom.lan"], ["[::1]", "localhost"]])),
    wrong: [...JUNK, {}, 0, "localhost", ["http://localhost"], ["localhost:80"], ["a b"], ["*"], [""], () => ["localhost"]],
  },
};

export function optionSpecs(model: Model): Readonly<Record<string, OptionSpec>> {
  const lifted = (dice: Dice): unknown => dice.of<unknown>([model, () => model, async () => model]);
  const notModels = [...JUNK, {}, 0, "tiny", Promise.resolve(model), { ...model, backend: {} }, { card: model.card }];
  return {
    model: { right: lifted, wrong: notModels },
    models: {
      right: (dice) => ({ tiny: lifted(dice) }),
      wrong: [...JUNK, 0, { tiny: "tiny" }, { tiny: undefined }, { "": model }, new Map()],
    },
    price: {
      right: (dice) => ({ name: "test", usdPerRequest: dice.of([0, 1e-9]), usdPerMs: dice.of([0, 1e-9]) }),
      wrong: [
        ...JUNK, {}, 0, { name: "a", usdPerRequest: 0 }, { name: "a", usdPerRequest: 0, usdPerMs: NaN }, { name: "a", usdPerRequest: -1, usdPerMs: 1 },
        { name: 4, usdPerRequest: 0, usdPerMs: 0 }, { name: "a", usd_per_request: 0, usdPerMs: 0 }, { name: "a", usdPerRequest: 0, usdPerMs: Infinity },
      ], // prettier-ignore
    },
    ...ACCESS,
    ...CALLBACKS,
    ...LIMITS,
  };
}
