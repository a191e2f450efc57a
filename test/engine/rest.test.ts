/**
 * Rules that stop a prompt's rows one by one: their arithmetic, and what they promise on every backend.
 */
import { describe, expect, it } from "vitest";
import type { Backend, Inspectable, Row } from "../../engine/port/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate, type GeneratedToken, type GenerateOptions } from "../../engine/decode/generate.ts";
import { prefixTracker, restTracker } from "../../engine/decode/rest.ts";
import { NEVER_EXIT, parseExitRule, type ExitRule } from "../../engine/exit-rule.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import { BACKENDS } from "../golden/backends.ts";
import { tinyBackend } from "../schedule/backend.ts";

describe("prefix", () => {
  it("stops a row only when every row before it has stopped", () => {
    const rule = parseExitRule("prefix:0.1");
    const tracker = prefixTracker(4);
    expect(tracker.next([0, 1, 2, 3], [0.05, 0.5, 0.05, 0.05], [], rule)).toEqual([1, 2, 3]);
    expect(tracker.next([1, 2, 3], [0, 0.05, 0.05, 0.5], [], rule)).toEqual([3]);
    expect(tracker.next([3], [0, 0, 0, 0.01], [], rule)).toEqual([]);
  });

  it("never stops at a threshold of 0, nor on a movement that is not a number", () => {
    expect(prefixTracker(2).next([0, 1], [0, 0], [], parseExitRule("prefix:0"))).toEqual([0, 1]);
    expect(prefixTracker(2).next([0, 1], [NaN, 0], [], parseExitRule("prefix:0.1"))).toEqual([0, 1]);
  });
});

describe("rest-wake", () => {
  it("lets a still row rest, and wakes it when the news that reached it adds up", () => {
    const rule = parseExitRule("rest-wake:0.1:0.3");
    const tracker = restTracker(3);
    expect(tracker.next([0, 1, 2], [0.05, 0.3, 0.01], [0.05, 0.15, 0.24], rule)).toEqual([1]);
    expect(tracker.next([1], [0, 0.2, 0], [0, 0.1, 0.16], rule)).toEqual([1, 2]); // row 2 has gathered 0.4
    expect(tracker.next([1, 2], [0, 0.05, 0.05], [0, 0.02, 0.05], rule)).toEqual([]); // it has run: pressure starts anew
  });

  it("keeps what runs out of the pressure that woke it, and lets nothing that is not a number wake a row", () => {
    const rule = parseExitRule("rest-wake:0.1:0.3");
    const tracker = restTracker(2);
    expect(tracker.next([0, 1], [0.01, 0.01], [0.25, NaN], rule)).toEqual([]);
    expect(tracker.next([0], [0.01, 0], [0.1, 0.5], rule)).toEqual([]);
  });
});

for (const name of BACKENDS)
  describe(`on the ${name} backend`, () => {
    const BASE: GenerateOptions = {
      prompt: [3, 5, 8, 13, 2, 7, 11, 4],
      maxTokens: 5,
      iterations: 12,
      exit: NEVER_EXIT,
      cache: parseCacheStrategy("latest-m1-compress-s1"),
      stopTokens: new Set(),
    };
    const run = async (backend: Backend, options: Partial<GenerateOptions>): Promise<GeneratedToken[]> => {
      const tokens: GeneratedToken[] = [];
      for await (const t of generate(backend, { ...BASE, ...options })) tokens.push(t);
      return tokens;
    };
    const cost = (tokens: GeneratedToken[]): unknown => tokens.map((t) => [t.token, t.iterations, t.rowIterations]);

    for (const rule of ["prefix:0", "rest-wake:0", "rest-wake:0:0"])
      it(`${rule} is the full computation, bit for bit`, async () => {
        const backend = await tinyBackend(name);
        const seen = async (exit: ExitRule): Promise<unknown> => {
          const tokens = await run(backend, { exit, logprobs: backend.config.vocabSize });
          return tokens.map((t) => [t.token, t.iterations, t.rowIterations, t.logprobs]);
        };
        expect(await seen(parseExitRule(rule))).toEqual(await seen(NEVER_EXIT));
      });

    it("counts the iterations that were really run, and saves some", async () => {
      const backend = await tinyBackend(name);
      let counted = 0;
      const counting: Backend = Object.assign(Object.create(backend) as Backend, {
        iterate: (active: readonly Row[]) => ((counted += active.length), backend.iterate(active)),
      });
      for (const key of ["prelude", "measure", "readout", "latent", "release", "openSequence", "closeSequence", "pressure"] as const)
        Object.assign(counting, { [key]: (backend[key] as (...args: unknown[]) => unknown).bind(backend) });
      Object.assign(counting, { argmax: backend.argmax?.bind(backend) });
      const tokens = await run(counting, { exit: parseExitRule("rest-wake:0.4:0.5") });
      expect(tokens.reduce((sum, t) => sum + t.rowIterations, 0)).toBe(counted);
      expect(tokens[0]!.rowIterations).toBeLessThan(12 * BASE.prompt.length);
    });

    it("mixes with other requests, and every answer is what it is alone", async () => {
      const backend = await tinyBackend(name);
      const requests = ["rest-wake:0.3:0.4", "prefix:0.3", "latent-diff:0.2", "rest-wake:0.5:0.2"].map((rule, i) => ({
        exit: parseExitRule(rule),
        prompt: BASE.prompt.slice(i),
      }));
      const alone = [];
      for (const request of requests) alone.push(cost(await run(backend, request)));
      const scheduler = new Scheduler(backend, { width: 5 });
      const together = await Promise.all(requests.map(async (request) => cost(await run(scheduler.lane(), request))));
      expect(together).toEqual(alone);
    });

    it("does not depend on the order in which rows are gathered", async () => {
      const backend = await tinyBackend(name);
      const open = () => backend.openSequence({ capacity: 8, maxIterations: 4, cache: BASE.cache, attention: true });
      const states = async (order: (r: readonly Row[]) => Row[]): Promise<unknown> => {
        const sequence = open();
        const made = await backend.prelude(BASE.prompt.map((token) => ({ sequence, token })));
        for (let t = 0; t < 4; t++) await backend.iterate(order(t % 2 === 0 ? made : made.slice(3)));
        return Promise.all(made.map(async (row) => [...(await backend.latent(row, "raw"))]));
      };
      const straight = await states((r) => [...r]);
      expect(await states((r) => [...r].toReversed())).toEqual(straight);
      expect(await states((r) => [...r.filter((_, i) => i % 2 === 1), ...r.filter((_, i) => i % 2 === 0)])).toEqual(straight);
    });

    it("presses on rows by what moved where they look", async () => {
      const backend = await tinyBackend(name);
      const sequence = backend.openSequence({ capacity: 8, maxIterations: 4, cache: BASE.cache, attention: true });
      await backend.prelude([{ sequence, token: 9 }]); // positions count from the sequence's beginning
      const made = await backend.prelude(BASE.prompt.slice(1).map((token) => ({ sequence, token })));
      for (let t = 0; t < 3; t++) await backend.iterate(made);
      await backend.iterate(made.slice(3)); // the others keep what they saw in their own last iteration
      const moved = Float32Array.from({ length: 8 }, (_, p) => Math.sin(p) ** 2);
      const weights = await (backend as Backend & Inspectable).attention(made);
      const pressure = await backend.pressure!(made, moved);
      expect([...pressure].map((p) => p.toFixed(5))).toEqual(
        weights.map((w) => w.reduce((sum, weight, p) => sum + weight * moved[p]!, 0).toFixed(5)),
      );
      expect(Math.max(...pressure)).toBeGreaterThan(0.1);
    });

    it("a new token, a single row, leaves by latent-diff and wakes nothing before it", async () => {
      const backend = await tinyBackend(name);
      const full = { exit: { ...parseExitRule("latent-diff:0.3"), exitInPrefill: false } };
      const resting = { exit: { ...parseExitRule("rest-wake:0.3:0.1"), exitInPrefill: false } };
      expect(cost(await run(backend, resting))).toEqual(cost(await run(backend, full)));
    });

    it("refuses a cache in which stopped rows would be lost or old", async () => {
      const backend = await tinyBackend(name);
      const refused = (rule: string, cache: string) =>
        expect(run(backend, { exit: parseExitRule(rule), cache: parseCacheStrategy(cache) })).rejects;
      await refused("prefix:0.1", "full").toMatchObject({ code: "invalid_request", param: "cache" });
      await refused("rest-wake:0.1", "latest-m1").toMatchObject({ code: "invalid_request", param: "cache" });
    });
  });
