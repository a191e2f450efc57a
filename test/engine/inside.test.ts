import { beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../../engine/port/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate, type GenerateOptions } from "../../engine/decode/generate.ts";
import { principalDirections, project } from "../../engine/decode/principal.ts";
import { trace } from "../../engine/decode/trace.ts";
import { NEVER_EXIT, parseExitRule } from "../../engine/exit-rule.ts";
import { uniform } from "../../engine/random.ts";
import { tinyBackend } from "../schedule/backend.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await tinyBackend("reference");
});
const OPTIONS: GenerateOptions = {
  prompt: [3, 5, 9],
  maxTokens: 4,
  iterations: 5,
  exit: NEVER_EXIT,
  cache: parseCacheStrategy("full"),
  stopTokens: new Set(),
};

describe("a trace", () => {
  it("shows the same tokens as generating, and what the last guess became", async () => {
    const plain = [];
    for await (const t of generate(backend, OPTIONS)) plain.push(t);
    const { tokens, explained } = await trace(backend, OPTIONS);
    expect(tokens.map((t) => t.token)).toEqual(plain.map((t) => t.token));
    for (const t of tokens) {
      expect(t.norms.length).toBe(5);
      expect(t.path.length).toBe(6);
      expect(t.lens.at(-1)![0]!.token).toBe(t.token);
    }
    expect(explained.reduce((a, b) => a + b)).toBeLessThanOrEqual(1 + 1e-9);
  });

  it("shows the movements that the exit rule saw, for a single row", async () => {
    const { tokens } = await trace(backend, { ...OPTIONS, exit: parseExitRule("latent-diff:1e-9") });
    for (const t of tokens.slice(1)) t.movements.forEach((m, i) => expect(m).toBeCloseTo(t.exitValues[i]!, 5));
  });

  it("leaves nothing behind", async () => {
    await trace(backend, OPTIONS);
    expect(backend.memory().usedBytes).toBe(0);
  });
});

describe("principal directions", () => {
  it("find the directions of stretched noise, in order", () => {
    const vectors = Array.from({ length: 300 }, (_, n) => [9, 3, 1, 0.1].map((scale, i) => scale * (uniform(1, n, i) - 0.5) + 5));
    const { directions, explained, mean } = principalDirections(vectors, 2);
    expect(Math.abs(directions[0]![0]!)).toBeGreaterThan(0.99);
    expect(Math.abs(directions[1]![1]!)).toBeGreaterThan(0.99);
    expect(explained[0]).toBeGreaterThan(0.8);
    expect(project(mean, mean, directions)).toEqual([0, 0]);
  });

  it("are none where nothing varies", () => {
    expect(
      principalDirections(
        [
          [1, 2],
          [1, 2],
        ],
        2,
      ).directions,
    ).toEqual([]);
  });
});

describe("log-probabilities", () => {
  it("are of the greedy token and its alternatives, likeliest first", async () => {
    for await (const t of generate(backend, { ...OPTIONS, logprobs: 5 })) {
      const { logprob, top } = t.logprobs!;
      expect(top[0]).toEqual({ token: t.token, logprob });
      expect(top.map((a) => a.logprob)).toEqual(top.map((a) => a.logprob).toSorted((a, b) => b - a));
    }
    for await (const t of generate(backend, { ...OPTIONS, logprobs: 24 }))
      expect(t.logprobs!.top.reduce((sum, a) => sum + Math.exp(a.logprob), 0)).toBeCloseTo(1, 6);
  });
});
