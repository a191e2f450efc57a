/**
 * Memory is admitted like time: what a request will need is taken when it is let in, and nobody else is harmed.
 */
import { describe, expect, it } from "vitest";
import type { Backend } from "../../engine/port/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate, type GenerateOptions } from "../../engine/decode/generate.ts";
import { FathomError } from "../../engine/errors.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import type { WasmBackend } from "../../wasm/backend.ts";
import { tinyBackend } from "../schedule/backend.ts";
import { frozenBackend, runFrozen } from "./runs.ts";

const BASE: GenerateOptions = {
  prompt: [3, 5],
  maxTokens: 8,
  iterations: 3,
  exit: NEVER_EXIT,
  cache: parseCacheStrategy("latest-m1-compress-s1"),
  stopTokens: new Set(),
};

async function tokensOf(backend: Backend, options: Partial<GenerateOptions> = {}, onToken = (): void => {}): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { token } of generate(backend, { ...BASE, ...options })) {
    tokens.push(token);
    onToken();
  }
  return tokens;
}

function range(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);
}

/** Leaves so many bytes of the backend's limit free; returns how to give the rest back. */
function freeze(backend: WasmBackend, freeBytes: number): () => void {
  const { usedBytes, limitBytes } = backend.memory();
  const region = backend.arena.allocate("scratch", limitBytes - usedBytes - freeBytes, "what is not free");
  return () => backend.arena.free(region);
}

describe("a newcomer without room", () => {
  it("is refused by itself; who is being answered goes on as if alone, however many bytes are free", async () => {
    const backend = await frozenBackend();
    const newcomer = Array.from({ length: 30 }, (_, i) => i % 20);
    const alone = { first: await tokensOf(backend), second: await tokensOf(backend, { prompt: newcomer }) };
    const seen = { refused: 0, admitted: 0 };
    for (const [free, turns] of range(16_384, 98_304, 2048).flatMap((bytes) => range(0, 24, 3).map((turn) => [bytes, turn] as const))) {
      const thaw = freeze(backend, free);
      const scheduler = new Scheduler(backend);
      const yieldToHost = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
      const first = tokensOf(scheduler.lane({ yieldToHost }));
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const [a, b] = await Promise.allSettled([first, tokensOf(scheduler.lane({ yieldToHost }), { prompt: newcomer })]);
      expect(a, `${free} bytes free, ${turns} turns later`).toEqual({ status: "fulfilled", value: alone.first });
      if (b.status === "fulfilled") expect(b.value).toEqual(alone.second);
      else expect(b.reason).toMatchObject({ code: "out_of_memory" });
      seen[b.status === "fulfilled" ? "admitted" : "refused"]++;
      thaw();
    }
    expect(seen.refused).toBeGreaterThan(5);
    expect(seen.admitted).toBeGreaterThan(5);
  });

  it.each([
    ["full", false],
    ["latest-m1", true],
    ["latest-m1-compress-s1", true],
  ])("is let in exactly where the bytes it was said to take are free, with cache %s", async (cache, attention) => {
    const backend = await frozenBackend();
    for (const [capacity, prompt] of [
      [1, 1],
      [17, 3],
      [40, 33],
      [48, 48],
    ] as const) {
      const options = { capacity, maxIterations: 5, cache: parseCacheStrategy(cache), attention, prompt, rows: 1 };
      const bytes = backend.sequenceBytes(options);
      const tooFew = freeze(backend, bytes - 64);
      const ledger = backend.memory();
      expect(() => backend.openSequence(options)).toThrow(expect.objectContaining({ code: "out_of_memory" }));
      expect(backend.memory()).toEqual(ledger);
      tooFew();
      const thaw = freeze(backend, bytes);
      const sequence = backend.openSequence(options);
      expect(backend.memory().usedBytes).toBe(backend.memory().limitBytes);
      const rows = backend.prelude(Array.from({ length: prompt }, (_, i) => ({ sequence, token: i % 24 })));
      for (let t = 0; t < 5; t++) backend.iterate(t === 2 ? rows.slice(0, 1) : rows.filter((row) => row.iterations < 5));
      if (attention) backend.pressure(rows, new Float32Array(prompt));
      backend.readout(rows, rows);
      backend.release(rows);
      while (sequence.length < capacity) {
        const next = backend.prelude([{ sequence, token: 2 }]);
        backend.iterate(next);
        backend.readout(next, next);
        backend.release(next);
      }
      backend.closeSequence(sequence);
      thaw();
    }
  });

  it("gets its room back once others have ended, wherever theirs lay", async () => {
    const backend = await frozenBackend();
    const options = { capacity: 40, maxIterations: 5, cache: parseCacheStrategy("full"), attention: true };
    const bytes = backend.sequenceBytes(options);
    const thaw = freeze(backend, bytes);
    const short = { ...options, capacity: 4 };
    for (let round = 0; round < 20; round++) {
      const others = Array.from({ length: 1 + (round % 3) }, () => backend.openSequence(short));
      expect(() => backend.openSequence(options)).toThrow(expect.objectContaining({ code: "out_of_memory" }));
      for (const sequence of round % 2 === 0 ? others : others.reverse()) backend.closeSequence(sequence);
      backend.closeSequence(backend.openSequence(options));
    }
    thaw();
  });
});

describe("a prompt's room", () => {
  it("is free again as soon as its rows are released", async () => {
    const backend = await frozenBackend();
    const before = backend.memory().usedBytes;
    const whole = { capacity: 40, maxIterations: 2, cache: BASE.cache, attention: true, prompt: 33, rows: 1 };
    const sequence = backend.openSequence(whole);
    const rows = backend.prelude(Array.from({ length: 33 }, () => ({ sequence, token: 2 })));
    backend.release(rows);
    expect(backend.memory().usedBytes - before).toBe(backend.sequenceBytes({ ...whole, prompt: 0 }));
    backend.closeSequence(sequence);
    expect(backend.memory().usedBytes).toBe(before);
  });

  it("is not shared: rows beyond those announced are refused by name, with nothing changed", async () => {
    const backend = await frozenBackend();
    const sequence = backend.openSequence({ capacity: 10, maxIterations: 2, cache: BASE.cache, prompt: 3, rows: 1 });
    const prompt = backend.prelude([1, 2, 3].map((token) => ({ sequence, token })));
    expect(() => backend.prelude([4, 5].map((token) => ({ sequence, token })))).toThrow(
      expect.objectContaining({ code: "invalid_request", param: "rows" }),
    );
    expect(sequence.length).toBe(3);
    const [next] = backend.prelude([{ sequence, token: 4 }]);
    backend.release([...prompt, next!]);
    expect(() => backend.openSequence({ ...sequence.options, rows: 0 })).toThrow(expect.objectContaining({ param: "rows" }));
    expect(() => backend.openSequence({ ...sequence.options, prompt: 11 })).toThrow(expect.objectContaining({ param: "prompt" }));
  });
});

describe("a mixed call that fails for want of memory", () => {
  it("fails only the requests that have no room by themselves", async () => {
    const backend = await tinyBackend("reference");
    const largest = 4;
    const tight = new Proxy(backend, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key);
        if (key === "prelude" || key === "iterate")
          return (rows: readonly never[]) => {
            if (rows.length > largest) throw new FathomError("out_of_memory", `No room for ${rows.length} rows.`);
            return target[key as "prelude"](rows);
          };
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const alone = await tokensOf(backend);
    const scheduler = new Scheduler(tight);
    const [a, b, c] = await Promise.allSettled([
      tokensOf(scheduler.lane()),
      tokensOf(scheduler.lane()),
      tokensOf(scheduler.lane(), { prompt: [1, 2, 3, 4, 5] }),
    ]);
    expect(a).toEqual({ status: "fulfilled", value: alone });
    expect(b).toEqual({ status: "fulfilled", value: alone });
    expect(c).toMatchObject({ status: "rejected", reason: { code: "out_of_memory" } });
    expect(backend.memory().usedBytes).toBe(0);
  });
});

/** Few runs on every test run, other ones each time; the seed is in the test's name. The full check is check:oom. */
const SEED = Math.floor(Math.random() * 1e6);
const RUNS = 40;

it(`in ${RUNS} runs of frozen memory, whoever is let in ends as it does alone (seed ${SEED})`, async () => {
  const backend = await frozenBackend();
  const sum = { requests: 0, refused: 0 };
  for (let run = 0; run < RUNS; run++) {
    const { requests, refused, failures } = await runFrozen(backend, SEED, run);
    expect(failures, `run ${run}`).toEqual([]);
    sum.requests += requests;
    sum.refused += refused;
  }
  expect(sum.refused).toBeGreaterThan(0);
  expect(sum.refused).toBeLessThan(sum.requests / 2);
});
