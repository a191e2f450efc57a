/**
 * Several completions of one prompt against the same completions alone.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { fixedPolicy } from "../../engine/depth-policy.ts";
import { generate, type GeneratedToken, type GenerateOptions } from "../../engine/decode/generate.ts";
import { seededState } from "../../engine/decode/initial-state.ts";
import { generateSeveral, type ChoiceToken, type SeveralOptions } from "../../engine/decode/several.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import type { Backend } from "../../engine/port/backend.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { CONFIG } from "../port/implementations.ts";
import { randomWeights } from "../wasm/models.ts";

const BASE: GenerateOptions = {
  prompt: [3, 5, 8, 2],
  maxTokens: 6,
  iterations: 4,
  exit: NEVER_EXIT,
  cache: parseCacheStrategy("latest-m2-compress-s2"),
  stopTokens: new Set([7]),
  sampling: { temperature: 1.5, seed: 11 },
};

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const several = (backend: Backend, options: Partial<SeveralOptions> = {}): Promise<ChoiceToken[]> =>
  collect(generateSeveral(backend, { ...BASE, count: 4, ...options }));

/** What a token costs is told apart where completions share it. */
const free = (token: GeneratedToken): object => ({ ...token, rows: 0, rowIterations: 0, readouts: 0, iterations: 0, limit: 0 });

const load = randomWeights(CONFIG);
const BACKENDS: readonly [string, () => Promise<Backend>][] = [
  ["reference", () => createReferenceBackend(CONFIG, load)],
  ["wasm", () => createNodeWasmBackend(CONFIG, load, { warm: false })],
  ["a lane", async () => new Scheduler(await createReferenceBackend(CONFIG, load), { width: 2 }).lane()],
];

describe.each(BACKENDS)("several completions, by %s", (_, create) => {
  let backend: Backend;
  beforeAll(async () => void (backend = await create()));

  const variants: readonly [string, Partial<GenerateOptions>][] = [
    ["sampled", {}],
    ["greedy", { sampling: { seed: 3 } }],
    ["with an exit rule", { exit: { criterion: "latent-diff", threshold: 0.2 } }],
    ["whose prompt's rows rest", { exit: { criterion: "rest-wake", threshold: 0.2 } }],
    ["with warm starts", { warmStart: "normalised" }],
    ["from given states", { initialState: seededState(CONFIG, 5) }],
    ["with log-probabilities", { logprobs: 2 }],
    ["of one token", { maxTokens: 1 }],
    ["under full", { cache: parseCacheStrategy("full") }],
  ];

  it.each(variants)("%s, are those of the token loop alone", async (_name, options) => {
    const before = backend.memory().usedBytes;
    const together = await several(backend, options);
    for (let choice = 0; choice < 4; choice++) {
      const own = together.filter((made) => made.choice === choice).map(({ token }) => token);
      const { seed = 0, ...sampling } = options.sampling ?? BASE.sampling!;
      const alone = await collect(
        generate(backend, { ...BASE, ...options, chunks: false, sampling: { ...sampling, seed: seed + choice } }),
      );
      expect(own.map(free)).toEqual(alone.map(free));
      expect(own.slice(1)).toEqual(alone.slice(1));
    }
    expect(backend.memory().usedBytes).toBe(before);
  });

  it("run the prompt once, and say so", async () => {
    const tokens = await several(backend, { stopTokens: new Set() });
    expect(tokens.filter(({ token }) => token.index === 0).map(({ token }) => [token.rows, token.rowIterations])).toEqual([
      [4, 16],
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    expect(tokens.slice(0, 8).map(({ choice, token }) => [choice, token.index])).toEqual(
      [0, 1].flatMap((index) => [0, 1, 2, 3].map((choice) => [choice, index])),
    );
  });

  it("give all their memory back when nobody reads on", async () => {
    const before = backend.memory().usedBytes;
    let left = 7;
    for await (const made of generateSeveral(backend, { ...BASE, stopTokens: new Set(), count: 3 }))
      if (made.token.index > 0 && --left === 0) break;
    expect(backend.memory().usedBytes).toBe(before);
  });

  it("ask each its own policy, the first about the prompt", async () => {
    const asked: [number, number, number][] = [];
    const policyOf: SeveralOptions["policyOf"] = (choice) => {
      const policy = fixedPolicy(3, NEVER_EXIT, 6);
      return {
        ...policy,
        plan(call) {
          asked.push([choice, call.index, call.rows]);
          return call.index > choice ? undefined : policy.plan(call);
        },
      };
    };
    const tokens = await several(backend, { count: 3, stopTokens: new Set(), policyOf });
    expect([0, 1, 2].map((choice) => tokens.filter((made) => made.choice === choice).length)).toEqual([1, 2, 3]);
    expect(asked.filter(([, index]) => index === 0)).toEqual([[0, 0, 4]]);
    expect(tokens.filter(({ token }) => token.finish !== undefined).map(({ token }) => token.finish)).toEqual([
      "length",
      "length",
      "length",
    ]);
  });

  it.each([0, -1, 1.5, NaN])("%d of them are refused by name", async (count) => {
    await expect(several(backend, { count })).rejects.toMatchObject({ code: "invalid_request", param: "n" });
  });
});
