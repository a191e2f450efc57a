/**
 * Beginnings of prompts taken over from earlier requests: the same bits as without, whoever was there before; bounded,
 * given back before anybody is refused, and nothing of it left of requests that failed.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generateSeveral, type ChoiceToken } from "../../engine/decode/several.ts";
import { generate } from "../../engine/decode/generate.ts";
import type { ExitRule } from "../../engine/exit-rule.ts";
import type { Backend } from "../../engine/port/backend.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { PrefixCache, type PrefixHold } from "../../engine/schedule/prefix-cache.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import type { WasmBackend } from "../../wasm/backend.ts";
import { createWasmBackend } from "../../wasm/create.ts";
import { hostPaths } from "../wasm/host.ts";
import { CONFIG } from "../port/implementations.ts";
import { randomWeights } from "../wasm/models.ts";

const CACHE = parseCacheStrategy("latest-m2-compress-s2");
const PROMPT = [3, 5, 8, 2, 11, 4, 4, 19, 7, 1, 22, 6];
const load = randomWeights(CONFIG);
const { module, path } = (await hostPaths()).at(-1)!;

const RULES: readonly ExitRule[] = [
  { criterion: "none", threshold: 0 },
  { criterion: "prefix", threshold: 0.6 },
  { criterion: "rest-wake", threshold: 0.7, wake: 0.7 },
  { criterion: "rest-wake", threshold: 0.9, wake: 0.1, minIterations: 2 },
  { criterion: "rest-wake", threshold: 0.3, wake: 0.2 },
];

const BACKENDS: readonly [string, () => Promise<Backend>][] = [
  ["reference", () => createReferenceBackend(CONFIG, load)],
  ...(["f32", "int8"] as const).map((kv): [string, () => Promise<Backend>] => [
    `wasm, ${kv} cache`,
    () => createWasmBackend({ module, path, config: CONFIG, load, kv, warm: false, limitBytes: 8 << 20 }),
  ]),
];

interface Asked {
  readonly prompt: readonly number[];
  readonly exit: ExitRule;
  readonly iterations?: number;
  readonly count?: number;
  readonly limitBytes?: number;
  /** Tokens after which the request ends as one that failed. */
  readonly failAfter?: number;
}

/** A cache over a backend of its own, and requests that use it. */
class Isolate {
  readonly scheduler: Scheduler;
  readonly prefixes: PrefixCache;
  found: number[] = [];

  constructor(backend: Backend) {
    this.scheduler = new Scheduler(backend, { width: 5 });
    this.prefixes = new PrefixCache(this.scheduler);
  }

  async ask({ prompt, exit, iterations = 6, count = 1, limitBytes = 1 << 24, failAfter = Infinity }: Asked): Promise<ChoiceToken[]> {
    const lane = this.scheduler.lane();
    const prefix: PrefixHold = this.prefixes.find(lane, prompt, { exit, cache: CACHE, iterations, limitBytes, minTokens: 8 });
    this.found.push(prefix.found?.length ?? 0);
    const tokens: ChoiceToken[] = [];
    try {
      const options = { prompt, maxTokens: 4, iterations, exit, cache: CACHE, stopTokens: new Set<number>(), logprobs: 3 };
      for await (const token of generateSeveral(lane, { ...options, count, prefix, sampling: { temperature: 1, seed: 5 } })) {
        tokens.push(token);
        if (tokens.length >= failAfter) break;
      }
      return tokens;
    } finally {
      prefix.release(tokens.length === 4 * count);
    }
  }
}

/** What is said of tokens, bit for bit, less what they cost. */
const said = (tokens: readonly ChoiceToken[]): unknown =>
  tokens.map(({ choice, token }) => [choice, token.token, token.logprobs, token.exited]);

async function alone(backend: Backend, { prompt, exit, iterations = 6, count = 1 }: Asked): Promise<unknown> {
  const all: ChoiceToken[] = [];
  for (let choice = 0; choice < count; choice++)
    for await (const token of generate(backend, {
      prompt,
      maxTokens: 4,
      iterations,
      exit,
      cache: CACHE,
      stopTokens: new Set(),
      logprobs: 3,
      sampling: { temperature: 1, seed: 5 + choice },
    }))
      all.push({ choice, token });
  return said(all.sort((a, b) => a.token.index - b.token.index || a.choice - b.choice));
}

describe.each(BACKENDS)("beginnings of prompts, by %s", (_, create) => {
  let backend: Backend;
  beforeAll(async () => void (backend = await create()));

  it.each(RULES)("taken over change no bit, by %j", async (exit) => {
    const isolate = new Isolate(backend);
    const asked: Asked[] = [
      { prompt: PROMPT, exit },
      { prompt: PROMPT, exit },
      { prompt: [...PROMPT.slice(0, 9), 20, 21], exit },
      { prompt: [...PROMPT, 9, 9, 13, 2, 17, 0, 3, 14, 5], exit },
      { prompt: [...PROMPT, 9, 9, 13, 2, 17, 0, 3, 14, 5], exit, count: 3 },
      { prompt: [...PROMPT, 9, 9, 13, 2, 17, 0, 8], exit },
      { prompt: PROMPT.slice(0, 10), exit },
    ];
    for (const request of asked) expect(said(await isolate.ask(request))).toEqual(await alone(backend, request));
    expect(isolate.found).toEqual([0, 11, 9, 12, 20, 18, 9]);
    const { "kv cache": held = 0, rows = 0, prefixes = 0 } = backend.memory().owners;
    expect([held, rows]).toEqual([0, 0]);
    expect(prefixes).toBeGreaterThan(0);
    expect(prefixes).toBeLessThanOrEqual(isolate.prefixes.usedBytes);
    isolate.prefixes.clear();
    expect([isolate.prefixes.usedBytes, backend.memory().owners["prefixes"] ?? 0]).toEqual([0, 0]);
  });

  it.each(RULES)("are taken over only where they have gone as far as is allowed, by %j", async (exit) => {
    for (const [first, then] of [
      [6, 9],
      [9, 6],
      [3, 12],
      [12, 2],
    ] as const) {
      const isolate = new Isolate(backend);
      await isolate.ask({ prompt: PROMPT, exit, iterations: first });
      for (const prompt of [PROMPT, [...PROMPT.slice(0, 9), 20, 21]]) {
        const request = { prompt, exit, iterations: then };
        expect(said(await isolate.ask(request))).toEqual(await alone(backend, request));
      }
      if (exit.criterion === "none") expect(isolate.found).toEqual([0, 0, 9]);
      isolate.prefixes.clear();
    }
  });
});

describe("the cache of prefixes", () => {
  const exit: ExitRule = { criterion: "rest-wake", threshold: 0.7, wake: 0.7 };
  const promptOf = (k: number): number[] => Array.from({ length: 12 }, (_, i) => (7 * k + i * i) % 24);
  const isolateOf = async (limitBytes = 8 << 20): Promise<Isolate> =>
    new Isolate(await createWasmBackend({ module, path, config: CONFIG, load, warm: false, limitBytes }));

  it("is bounded: what was used longest ago goes first", async () => {
    const isolate = await isolateOf();
    await isolate.ask({ prompt: promptOf(0), exit });
    const limitBytes = 3 * isolate.prefixes.usedBytes;
    for (const k of [1, 2, 0, 3, 0, 1]) await isolate.ask({ prompt: promptOf(k), exit, limitBytes });
    expect(isolate.found).toEqual([0, 0, 0, 11, 0, 11, 0]);
    expect(isolate.prefixes.size).toBe(3);
    expect(isolate.prefixes.usedBytes).toBeLessThanOrEqual(limitBytes);
  });

  it("keeps nothing where it may have no byte, nor what is larger than it", async () => {
    const isolate = await isolateOf();
    for (const limitBytes of [0, 1000]) await isolate.ask({ prompt: promptOf(0), exit, limitBytes });
    expect(isolate.prefixes.size).toBe(0);
  });

  it("keeps nothing of a request that was given up or failed", async () => {
    const isolate = await isolateOf();
    await isolate.ask({ prompt: promptOf(0), exit, failAfter: 2 });
    await expect(isolate.ask({ prompt: [...promptOf(0), 99], exit })).rejects.toMatchObject({ code: "token_out_of_range" });
    expect([isolate.prefixes.size, isolate.prefixes.usedBytes]).toEqual([0, 0]);
    const { "kv cache": cache = 0, rows = 0, prefixes = 0 } = isolate.scheduler.backend.memory().owners;
    expect([cache, rows, prefixes]).toEqual([0, 0, 0]);
  });

  it("has no part in requests whose rows look at others behind them, nor in other rules' or other scopes'", async () => {
    const isolate = await isolateOf();
    await isolate.ask({ prompt: promptOf(0), exit: { criterion: "latent-diff", threshold: 0.5 } });
    expect(isolate.prefixes.size).toBe(0);
    await isolate.ask({ prompt: promptOf(0), exit });
    await isolate.ask({ prompt: promptOf(0), exit: { ...exit, threshold: 0.6 } });
    const lane = isolate.scheduler.lane();
    const terms = { exit, cache: CACHE, iterations: 6, limitBytes: 1 << 20, minTokens: 8 };
    const lengths = [undefined, "another's"].map((scope) => {
      const hold = isolate.prefixes.find(lane, promptOf(0), { ...terms, scope });
      hold.release(false);
      return hold.found?.length;
    });
    expect([isolate.found, lengths]).toEqual([
      [0, 0, 0],
      [11, undefined],
    ]);
  });

  it("gives way before anybody is refused, but for what is in use", async () => {
    const isolate = await isolateOf(1 << 20);
    const { backend } = isolate.scheduler;
    for (const k of [0, 1, 2]) await isolate.ask({ prompt: promptOf(k), exit });
    const lane = isolate.scheduler.lane();
    const hold = isolate.prefixes.find(lane, promptOf(1), { exit, cache: CACHE, iterations: 6, limitBytes: 1 << 20, minTokens: 8 });
    const options = { capacity: 1, maxIterations: 1, cache: CACHE };
    const open = [];
    for (;;)
      try {
        open.push(lane.openSequence(options));
      } catch (error) {
        expect(error).toMatchObject({ code: "out_of_memory" });
        break;
      }
    expect(isolate.prefixes.size).toBe(1);
    expect(hold.found!.length).toBe(11);
    for (const sequence of open) lane.closeSequence(sequence);
    hold.release(true);
    const request = { prompt: promptOf(1), exit };
    expect(said(await isolate.ask(request))).toEqual(await alone(backend, request));
    expect(isolate.found.at(-1)).toBe(11);
  });

  it("is shared by requests at once, whose bits do not change", async () => {
    const isolate = await isolateOf();
    const { backend } = isolate.scheduler;
    const requests = Array.from({ length: 32 }, (_, k): Asked => ({
      prompt: [...promptOf(k % 3), k % 24, (5 * k) % 24],
      exit,
      count: 1 + (k % 2),
    }));
    const expected = [];
    for (const request of requests) expected.push(await alone(backend, request));
    const cold = await Promise.all(requests.map((request) => isolate.ask(request)));
    const warm = await Promise.all(requests.map((request) => isolate.ask(request)));
    expect([cold, warm].map((all) => all.map(said))).toEqual([expected, expected]);
    expect(isolate.found.slice(32).every((length) => length >= 12)).toBe(true);
    isolate.prefixes.clear();
    expect(backend.memory().owners["prefixes"] ?? 0).toBe(0);
  });

  it.each([40_000, 90_000, 250_000])(
    "in %i bytes of free memory: whoever is let in is answered as alone, whoever is not is refused before any work",
    async (free) => {
      const isolate = await isolateOf(2 << 20);
      const backend = isolate.scheduler.backend as WasmBackend;
      const requests = Array.from({ length: 36 }, (_, k): Asked => ({
        prompt: [...promptOf(k % 5), k % 24, k % 7],
        exit,
        count: 1 + (k % 2),
      }));
      const expected: unknown[] = [];
      for (const request of requests) expected.push(await alone(backend, request));
      const { limitBytes, usedBytes } = backend.memory();
      const frozen = backend.arena.allocate("scratch", limitBytes - usedBytes - free, "what is not free");
      let refused = 0;
      for (let at = 0; at < requests.length; at += 12) {
        const outcomes = await Promise.allSettled(requests.slice(at, at + 12).map((request) => isolate.ask(request)));
        outcomes.forEach((outcome, i) => {
          if (outcome.status === "fulfilled") {
            expect(said(outcome.value)).toEqual(expected[at + i]);
            return;
          }
          expect(outcome.reason).toMatchObject({ code: "out_of_memory" });
          refused++;
        });
        // one alone is always let in: what is kept gives way
        expect(said(await isolate.ask(requests[at]!))).toEqual(expected[at]);
      }
      expect(refused).toBeLessThan(36);
      isolate.prefixes.clear();
      backend.arena.free(frozen);
      expect(backend.memory().usedBytes).toBe(usedBytes);
    },
  );
});
