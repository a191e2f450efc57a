/**
 * Ways to decode that must give the very tokens of plain greedy decoding.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../../engine/port/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate } from "../../engine/decode/generate.ts";
import { seededState } from "../../engine/decode/initial-state.ts";
import { speculate } from "../../engine/decode/speculate.ts";
import { generateWavefront } from "../../engine/decode/wavefront.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { tinyBackend } from "../schedule/backend.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await tinyBackend("reference");
});

const cases = Array.from({ length: 12 }, (_, seed) => ({ seed, prompt: [2 + seed, 7, (3 * seed) % 24], iterations: 3 + (seed % 7) }));
const base = ({ seed, prompt, iterations }: (typeof cases)[number], cache = "full") => ({
  prompt,
  iterations,
  maxTokens: 10,
  cache: parseCacheStrategy(cache),
  stopTokens: new Set<number>(),
  initialState: seededState(backend.config, seed),
});

async function greedy(c: (typeof cases)[number], cache = "full"): Promise<number[]> {
  const tokens: number[] = [];
  for await (const t of generate(backend, { ...base(c, cache), exit: NEVER_EXIT })) tokens.push(t.token);
  return tokens;
}

describe("self-speculation in strict mode", () => {
  for (const cache of ["full", "latest-m1", "skip"])
    it(`gives the greedy tokens of full depth under ${cache}`, async () => {
      for (const c of cases)
        for (const lookahead of [1, 3]) {
          const tokens: number[] = [];
          for await (const step of speculate(backend, { ...base(c, cache), draftIterations: 2, lookahead, strict: true }))
            tokens.push(...step.tokens);
          expect(tokens.slice(0, 10)).toEqual(await greedy(c, cache));
        }
    });

  it("costs less when drafted states are reused", async () => {
    const cost = async (reuseDrafts: boolean): Promise<number> => {
      let sum = 0;
      for await (const step of speculate(backend, { ...base(cases[5]!), draftIterations: 2, lookahead: 3, reuseDrafts }))
        sum += step.rowIterations;
      return sum;
    };
    expect(await cost(true)).toBeLessThan(await cost(false));
  });

  it("refuses to reuse states that the cache has overwritten, and impossible drafts", async () => {
    const start = (options: object) => speculate(backend, { ...base(cases[0]!), draftIterations: 1, lookahead: 2, ...options }).next();
    const shared = parseCacheStrategy("latest-m1-compress-s1");
    await expect(start({ cache: shared, reuseDrafts: true })).rejects.toMatchObject({ code: "invalid_request", param: "reuseDrafts" });
    await expect(start({ cache: shared, strict: true })).rejects.toMatchObject({ code: "invalid_request", param: "cache" });
    await expect(start({ threshold: 0.5, strict: true })).rejects.toMatchObject({ param: "threshold" });
    await expect(start({ draftIterations: 3 })).rejects.toMatchObject({ param: "draftIterations" });
    await expect(start({ lookahead: 0 })).rejects.toMatchObject({ param: "lookahead" });
    await expect(start({ threshold: 0 })).rejects.toMatchObject({ param: "threshold" });
  });
});

describe("wavefront decoding in its exact form", () => {
  for (const [stride, width] of [
    [1, 1],
    [1, 4],
    [2, 3],
    [3, 8],
    [20, 2],
  ] as const)
    it(`gives the greedy tokens with stride ${stride} and width ${width}`, async () => {
      for (const c of cases) {
        const tokens: number[] = [];
        for await (const step of generateWavefront(backend, { ...base(c), stride, width })) tokens.push(step.token);
        expect(tokens).toEqual(await greedy(c));
      }
    });

  it("refuses a cache whose iterations share slots", async () => {
    const start = generateWavefront(backend, { ...base(cases[0]!, "latest-m1-compress-s1"), stride: 2 }).next();
    await expect(start).rejects.toMatchObject({ code: "invalid_request", param: "cache" });
  });
});
