/**
 * Sharing a load: one for all, a time limit, failures that are remembered and then tried again, a load that dies.
 */
import { describe, expect, it, vi } from "vitest";
import { FathomError } from "../../engine/errors.ts";
import type { Model } from "../../engine/port/model.ts";
import { shareModel, type Load, type LoadOptions, type SharedModel } from "../../worker/loading.ts";
import { once } from "../../worker/model-source.ts";
import { nano } from "./support.ts";

const host = { waitUntil: () => undefined };
const missing = (): FathomError => new FathomError("invalid_config", "There is no config.json.");
const passing = (): FathomError => new FathomError("unavailable", "Status 503.", undefined, { isTransient: true });

/** A clock that a test moves. */
function handClock(): { now: () => number; ms: number } {
  const clock = { ms: 0, now: () => clock.ms };
  return clock;
}

interface Shared {
  readonly load: ReturnType<typeof vi.fn<Load<object>>>;
  readonly source: SharedModel<object>;
  readonly get: () => Promise<Model>;
}

function shared(load: Load<object>, options?: LoadOptions): Shared {
  const spied = vi.fn(load);
  const source = shareModel(spied, options);
  return { load: spied, source, get: () => source({}, host) };
}

const failure = (promise: Promise<unknown>): Promise<any> => promise.catch((error: unknown) => error);

describe("a load", () => {
  it("is shared by all who ask while it runs and after", async () => {
    const { load, source, get } = shared(async () => nano);
    expect(source.state()).toEqual({ status: "not_loaded" });
    const first = get();
    expect(source.state()).toEqual({ status: "loading" });
    expect(await Promise.all([first, get(), get()])).toEqual([nano, nano, nano]);
    expect(await get()).toBe(nano);
    expect(load).toHaveBeenCalledOnce();
    expect(source.state()).toEqual({ status: "ready", model: nano });
  });

  it("goes on when the request that began it has gone", async () => {
    const kept: Promise<unknown>[] = [];
    const source = shareModel(async () => nano);
    void source({}, { waitUntil: (promise) => void kept.push(promise) });
    expect(kept).toHaveLength(1);
    await kept[0];
    expect(source.state().status).toBe("ready");
  });

  it("is tried again at once where the failure may pass: nobody notices", async () => {
    let calls = 0;
    const { get } = shared(async () => {
      if (++calls < 3) throw calls === 1 ? passing() : new TypeError("network");
      return nano;
    });
    expect(await get()).toBe(nano);
    expect(calls).toBe(3);
  });

  it("has a time limit; its signal aborts then", async () => {
    let aborted = false;
    const { get, source } = shared(
      (_, signal) => {
        signal.addEventListener("abort", () => (aborted = true));
        return new Promise(() => undefined);
      },
      { timeLimitMs: 20 },
    );
    expect(await failure(get())).toMatchObject({
      status: 503,
      code: "model_unavailable",
      cause: { message: expect.stringContaining("20 ms") },
    });
    expect(aborted).toBe(true);
    expect(source.state()).toMatchObject({ status: "failed", failures: 1 });
  });

  it.each([0, -1, NaN, Infinity, 2 ** 31])("takes no time limit of %s", (timeLimitMs) => {
    expect(() => once(async () => nano, { timeLimitMs })).toThrow(RangeError);
  });
});

describe("a failed load", () => {
  it.each([
    ["that stays", missing, 1, 30, 300],
    ["that may pass", passing, 3, 1, 60],
  ] as const)("%s is remembered, longer each time, and then tried again", async (_, error, tries, firstSeconds, mostSeconds) => {
    const clock = handClock();
    const { load, get, source } = shared(() => Promise.reject(error()), { clock });
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 2; attempt++) {
      const { status, code, retryAfterSeconds } = await failure(get());
      expect({ status, code }).toEqual({ status: 503, code: "model_unavailable" });
      waits.push(retryAfterSeconds);
      for (let i = 0; i < 5; i++) await failure(get());
      clock.ms += retryAfterSeconds * 1000 - 1;
      expect(await failure(get())).toMatchObject({ retryAfterSeconds: 1 });
      expect(load, "nothing is read while the failure is remembered").toHaveBeenCalledTimes(tries * attempt);
      clock.ms += 1;
      expect(source.state()).toMatchObject({ status: "failed", failures: attempt, retryInMs: 0 });
    }
    expect(waits).toEqual([firstSeconds, 2 * firstSeconds]);
    if (tries > 1) return; // the waits between tries are real
    for (let i = 0; i < 10; i++) {
      waits.push((await failure(get())).retryAfterSeconds);
      clock.ms += mostSeconds * 1000;
    }
    expect(Math.max(...waits)).toBe(mostSeconds);
  });

  it("is forgotten once a load succeeds", async () => {
    const clock = handClock();
    let broken = true;
    const { get, source } = shared(() => (broken ? Promise.reject(missing()) : nano), { clock });
    await failure(get());
    broken = false;
    clock.ms += 30_000;
    expect(await get()).toBe(nano);
    expect(source.state().status).toBe("ready");
  });

  it("does not shut a model off for ever when the clock is set back", async () => {
    const clock = handClock();
    clock.ms = 1e9;
    const { load, get } = shared(() => Promise.reject(missing()), { clock });
    await failure(get());
    clock.ms = 0;
    await failure(get());
    expect(load).toHaveBeenCalledTimes(2);
  });

  it("carries its error as the cause, the same for all who meet it", async () => {
    const error = missing();
    const { get } = shared(() => Promise.reject(error), { clock: handClock() });
    expect([(await failure(get())).cause, (await failure(get())).cause]).toEqual([error, error]);
  });
});

describe("a load whose request has died", () => {
  it("is taken over by one of those who wait", async () => {
    const beat = vi.spyOn(globalThis, "setInterval").mockImplementationOnce((() => 0) as never); // the first request's timers are dead
    let calls = 0;
    const { get } = shared(() => (++calls === 1 ? new Promise(() => undefined) : nano), { beatMs: 5 });
    const first = get();
    expect(await Promise.all([get(), get()])).toEqual([nano, nano]);
    expect(calls).toBe(2);
    expect(await first).toBe(nano);
    beat.mockRestore();
  });

  it("is not taken over while it lives, however slow", async () => {
    const { load, get } = shared(() => new Promise((resolve) => setTimeout(() => resolve(nano), 100)), { beatMs: 5 });
    expect(await Promise.all([get(), get()])).toEqual([nano, nano]);
    expect(load).toHaveBeenCalledOnce();
  });

  it("is not taken over because the thread stood still, for longer than beats may be missed", async () => {
    let ms = 0;
    const clock = { now: () => (ms += 1000) };
    const { load, get } = shared(() => new Promise((resolve) => setTimeout(() => resolve(nano), 100)), { beatMs: 5, clock });
    expect(await Promise.all([get(), get()])).toEqual([nano, nano]);
    expect(load).toHaveBeenCalledOnce();
  });
});
