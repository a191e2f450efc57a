/**
 * A device that goes away at any call, without a GPU: the first backend is a reference that breaks. The stream goes on
 * as if nothing had happened, for one request and for several that share the backend.
 */
import { describe, expect, it } from "vitest";
import type { Backend } from "../../engine/port/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate, type GeneratedToken, type GenerateOptions } from "../../engine/decode/generate.ts";
import { FathomError, type FathomErrorCode } from "../../engine/errors.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import { withFallback } from "../../engine/failover/fallback.ts";
import type { Watchdog } from "../../engine/failover/watchdog.ts";
import { randomWeights, SMALL } from "../wasm/models.ts";
import { collect, PROMPT, startState } from "../kernels/compute.ts";

const load = randomWeights(SMALL);
const OPTIONS: GenerateOptions = {
  prompt: PROMPT.slice(0, 4),
  maxTokens: 5,
  iterations: 4,
  exit: { criterion: "latent-diff", threshold: 0.3 },
  cache: parseCacheStrategy("latest-m2-compress-s4"),
  stopTokens: new Set(),
  warmStart: "normalised",
  initialState: (position) => startState(SMALL.width, position),
};

/** A reference whose n-th awaited call, and all after it, fail; from 0 on it opens no sequence either. */
async function breakingAt(n: number, code: FathomErrorCode = "unavailable"): Promise<Backend> {
  const backend = await createReferenceBackend(SMALL, load);
  let calls = 0;
  return new Proxy(backend as Backend, {
    get(target, key: keyof Backend) {
      const value = target[key];
      if (typeof value !== "function") return value;
      const call = value.bind(target) as (...args: unknown[]) => unknown;
      if (key === "openSequence" && n === 0)
        return () => {
          throw new FathomError(code, "The device broke.");
        };
      if (!["prelude", "iterate", "measure", "readout", "latent"].includes(key)) return call;
      return (...args: unknown[]) => {
        if (++calls >= n) throw new FathomError(code, "The device broke.");
        return call(...args);
      };
    },
  });
}

async function failing(n: number, code?: FathomErrorCode): Promise<{ backend: Backend; log: string[] }> {
  const log: string[] = [];
  const factory = withFallback(
    () => breakingAt(n, code),
    createReferenceBackend,
    (line) => log.push(line),
  );
  return { backend: await factory(SMALL, load), log };
}

describe("a request whose device goes away", async () => {
  const expected = await collect(generate(await createReferenceBackend(SMALL, load), OPTIONS));

  it("goes on with the same tokens, whichever call was the last", async () => {
    for (let n = 1; ; n++) {
      const { backend, log } = await failing(n);
      expect(await collect(generate(backend, OPTIONS)), `call ${n}`).toEqual(expected);
      expect(backend.memory().usedBytes).toBe(0);
      if (log.length === 0) break; // it got through
      expect(log).toEqual(["The reference backend went away: The device broke. 1 sequence goes on without it."]);
    }
  });

  it("begins on the fallback where the device went away before", async () => {
    const { backend, log } = await failing(0);
    expect(await collect(generate(backend, OPTIONS))).toEqual(expected);
    expect(await collect(generate(backend, OPTIONS))).toEqual(expected);
    expect(log).toHaveLength(1);
    expect(backend.memory().usedBytes).toBe(0);
  });

  it.each([0, 9])("moves when memory runs out, too, at call %i", async (n) => {
    const { backend, log } = await failing(n, "out_of_memory");
    expect(await collect(generate(backend, OPTIONS))).toEqual(expected);
    expect(log).toHaveLength(1);
  });

  it("does not hide other errors", async () => {
    const { backend } = await failing(9, "missing_cache");
    await expect(collect(generate(backend, OPTIONS))).rejects.toMatchObject({ code: "missing_cache" });
  });

  it("fails with the fallback's error where that cannot take it", async () => {
    const factory = withFallback(
      () => breakingAt(9),
      async () => {
        throw new FathomError("out_of_memory", "No room here either.");
      },
      () => undefined,
    );
    await expect(collect(generate(await factory(SMALL, load), OPTIONS))).rejects.toThrow("No room here either.");
  });

  it("takes the requests with it that share the backend", async () => {
    const requests = [OPTIONS, { ...OPTIONS, prompt: [9, 8, 7] }, { ...OPTIONS, maxTokens: 3, warmStart: "off" as const }];
    const reference = await createReferenceBackend(SMALL, load);
    const alone: GeneratedToken[][] = [];
    for (const options of requests) alone.push(await collect(generate(reference, options)));
    for (const n of [2, 11, 25, 40]) {
      const { backend, log } = await failing(n);
      const scheduler = new Scheduler(backend);
      expect(await Promise.all(requests.map((options) => collect(generate(scheduler.lane(), options)))), `call ${n}`).toEqual(alone);
      expect(log).toHaveLength(1);
    }
  });
});

describe("a device that hangs", async () => {
  const expected = await collect(generate(await createReferenceBackend(SMALL, load), OPTIONS));
  const watchdog: Watchdog = {
    limitMs: 20,
    after: (ms, callback) => {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
  };

  /** A reference whose n-th awaited call never settles, or does so after its time, and so on all after it. */
  async function hangingAt(n: number, lateMs = Infinity): Promise<Backend> {
    const backend = await createReferenceBackend(SMALL, load);
    let calls = 0;
    return new Proxy(backend as Backend, {
      get(target, key: keyof Backend) {
        const value = target[key];
        if (typeof value !== "function") return value;
        const call = value.bind(target) as (...args: unknown[]) => unknown;
        if (!["prelude", "iterate", "measure", "readout", "latent"].includes(key)) return call;
        return async (...args: unknown[]) => {
          if (++calls < n) return call(...args);
          await new Promise((resolve) => lateMs < Infinity && setTimeout(resolve, lateMs));
          return call(...args);
        };
      },
    });
  }

  it.each([Infinity, 40])("goes on with the same tokens, in bounded time (the device answers after %s ms)", async (lateMs) => {
    for (const n of [1, 2, 7, 12, 19]) {
      const log: string[] = [];
      const factory = withFallback(
        () => hangingAt(n, lateMs),
        createReferenceBackend,
        (line) => log.push(line),
        watchdog,
      );
      const backend = await factory(SMALL, load);
      expect(await collect(generate(backend, OPTIONS)), `call ${n}`).toEqual(expected);
      expect(log).toEqual(["The reference backend went away: It did not answer within 20 ms. 1 sequence goes on without it."]);
      expect(await collect(generate(backend, OPTIONS)), "the next request").toEqual(expected);
      expect(backend.memory().usedBytes).toBe(0);
      await new Promise((resolve) => setTimeout(resolve, Math.min(lateMs, 1)));
    }
  });

  it("fails its requests where nothing can take over", async () => {
    const refuse = async (): Promise<Backend> => {
      throw new FathomError("unavailable", "No fallback here.");
    };
    const backend = await withFallback(
      () => hangingAt(3),
      refuse,
      () => undefined,
      watchdog,
    )(SMALL, load);
    const scheduler = new Scheduler(backend);
    const yieldToHost = (): Promise<void> => new Promise((resolve) => setImmediate(resolve)); // lets the timer come
    for (const outcome of await Promise.allSettled([1, 2].map(() => collect(generate(scheduler.lane({ yieldToHost }), OPTIONS)))))
      expect(outcome).toMatchObject({ status: "rejected", reason: { message: "No fallback here." } });
  });
});

describe("a model that the device cannot take", () => {
  it("goes to the fallback at once, with a line in the log", async () => {
    const log: string[] = [];
    const refuse = async (): Promise<Backend> => {
      throw new FathomError("out_of_memory", "The device is too small.");
    };
    const backend = await withFallback(refuse, createReferenceBackend, (line) => log.push(line))(SMALL, load);
    expect(backend.name).toBe("reference");
    expect(log).toEqual(["The primary backend cannot run this model: The device is too small. The fallback runs it."]);
  });
});
