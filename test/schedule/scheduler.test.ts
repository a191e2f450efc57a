import { beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../../engine/port/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate, type GenerateOptions } from "../../engine/decode/generate.ts";
import { FathomError } from "../../engine/errors.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import { BACKENDS } from "../golden/backends.ts";
import { tinyBackend } from "./backend.ts";
import { runMix } from "./mixes.ts";

/** Few mixes on every run, other ones each time; the seed is in the test's name. The full check is check:schedule. */
const SEED = Math.floor(Math.random() * 1e6);
const MIXES = 40;

for (const name of BACKENDS)
  it(`gives every request of ${MIXES} random mixes the tokens and steps it has alone, on ${name} (seed ${SEED})`, async () => {
    const backend = await tinyBackend(name);
    for (let mix = 0; mix < MIXES; mix++) {
      const { requests, alone, together } = await runMix(backend, SEED, mix);
      expect(together, `mix ${mix} of seed ${SEED}: ${JSON.stringify(requests)}`).toEqual(alone);
      expect(backend.memory().owners["kv cache"] ?? 0).toBe(0);
    }
  });

describe("the scheduler", () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await tinyBackend("reference");
  });
  const BASE: GenerateOptions = {
    prompt: [3, 5],
    maxTokens: 4,
    iterations: 5,
    exit: NEVER_EXIT,
    cache: parseCacheStrategy("full"),
    stopTokens: new Set(),
  };
  const drain = async (lane: Backend, options: Partial<GenerateOptions> = {}, onToken: () => void = () => {}): Promise<void> => {
    for await (const _ of generate(lane, { ...BASE, ...options })) onToken();
  };

  it("runs requests that come together in little more than the calls of one", async () => {
    const scheduler = new Scheduler(backend);
    await Promise.all([1, 2, 3, 4].map(() => drain(scheduler.lane())));
    expect(scheduler.calls.iterate).toBeLessThan(2 * BASE.maxTokens * 5);
  });

  it("lets the earliest deadline go first where not all fit", async () => {
    const scheduler = new Scheduler(backend, { width: 1 });
    const finished: string[] = [];
    await Promise.all([
      drain(scheduler.lane({ deadlineMs: 900 })).then(() => finished.push("late")),
      drain(scheduler.lane()).then(() => finished.push("none")),
      drain(scheduler.lane({ deadlineMs: 100 })).then(() => finished.push("early")),
    ]);
    expect(finished).toEqual(["early", "late", "none"]);
  });

  it("lets the host in again while it brings newcomers and no deadline asks for work, and not for ever", async () => {
    const turnsBetween = async (slackMs: number, more: number): Promise<number> => {
      let [count, turns] = [0, 0];
      const scheduler = new Scheduler(backend, {
        width: 1,
        cost: { callMs: 0, rowMs: () => 2 },
        slackMs: () => slackMs,
        newcomers: () => count,
      });
      const yieldToHost = async (): Promise<void> => {
        if (scheduler.calls.prelude === 1 && scheduler.calls.iterate === 0) turns++;
        if (turns <= more) count++;
      };
      await drain(scheduler.lane({ yieldToHost }), { prompt: [3], maxTokens: 1 });
      return turns;
    };
    expect(await turnsBetween(Infinity, 0)).toBe(1);
    expect(await turnsBetween(Infinity, 2)).toBe(3);
    expect(await turnsBetween(1, 5)).toBe(0); // in danger, calls go on for two quanta
    expect(await turnsBetween(Infinity, Infinity)).toBe(4);
  });

  it("never carries more rows than its width, and still serves a prompt wider than that", async () => {
    let widest = 0;
    const counting = new Proxy(backend, {
      get: (target, key) =>
        key === "iterate"
          ? (rows: never[]) => ((widest = Math.max(widest, rows.length)), target.iterate(rows))
          : (Reflect.get(target, key)?.bind?.(target) ?? Reflect.get(target, key)),
    });
    const scheduler = new Scheduler(counting, { width: 3 });
    await Promise.all([drain(scheduler.lane(), { prompt: [1, 2, 3, 4, 5, 6, 7] }), drain(scheduler.lane())]);
    expect(widest).toBe(3);
  });

  it("lets the host in while it works", async () => {
    let yields = 0;
    const scheduler = new Scheduler(backend, { yieldEvery: 2 });
    await drain(scheduler.lane({ yieldToHost: async () => void yields++ }));
    expect(yields).toBeGreaterThan(5);
  });

  it("waits for a device that needs the host's timers, and leaves it the host", async () => {
    const order: string[] = [];
    const slow = new Proxy(backend, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== "function") return value;
        if (key !== "iterate") return value.bind(target);
        return async (rows: never[]) => {
          await new Promise((resolve) => setTimeout(resolve, 1));
          return target.iterate(rows);
        };
      },
    });
    const scheduler = new Scheduler(slow);
    const timer = setTimeout(() => order.push("timer"), 5);
    await Promise.all([1, 2, 3].map(() => drain(scheduler.lane(), {}, () => order.push("token"))));
    clearTimeout(timer);
    expect(order.filter((what) => what === "token")).toHaveLength(3 * BASE.maxTokens);
    expect(order.indexOf("timer")).toBeLessThan(order.lastIndexOf("token"));
    expect(scheduler.calls.iterate, "they still share calls").toBeLessThan(2 * BASE.maxTokens * 5);
  });

  it("does not wait for a request that has stopped asking", async () => {
    const scheduler = new Scheduler(backend);
    const paused = generate(scheduler.lane(), BASE);
    await paused.next(); // its reader takes one token and then no more
    await drain(scheduler.lane());
    await paused.return();
    expect(backend.memory().usedBytes).toBe(0);
  });

  it("keeps one request's failure from the others", async () => {
    const scheduler = new Scheduler(backend);
    const [good, bad] = await Promise.allSettled([drain(scheduler.lane()), drain(scheduler.lane(), { prompt: [3, 99] })]);
    expect(good.status).toBe("fulfilled");
    expect(bad).toMatchObject({ status: "rejected", reason: { code: "token_out_of_range" } });
    expect(backend.memory().usedBytes).toBe(0);
  });

  it("goes on when a request's reader goes away", async () => {
    const scheduler = new Scheduler(backend);
    const leaver = (async () => {
      for await (const _ of generate(scheduler.lane(), BASE)) break;
    })();
    await Promise.all([leaver, drain(scheduler.lane())]);
    expect(backend.memory().usedBytes).toBe(0);
    expect(scheduler.waitingRows).toBe(0);
  });

  it("takes back the parts of a wide prompt that had run when a later one fails", async () => {
    let calls = 0;
    const failing = new Proxy(backend, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          if (key === "prelude" && ++calls === 3) throw new FathomError("out_of_memory", "No room for the third part.");
          return value.apply(target, args) as unknown;
        };
      },
    });
    const lane = new Scheduler(failing, { width: 2 }).lane();
    const sequence = lane.openSequence({ capacity: 8, maxIterations: 1, cache: BASE.cache, rows: 6 });
    const inputs = [1, 2, 3, 4, 5, 6].map((token) => ({ sequence, token }));
    await expect(lane.prelude(inputs)).rejects.toMatchObject({ code: "out_of_memory" });
    expect(sequence.length).toBe(0);
    expect((await lane.prelude(inputs)).map((row) => row.position)).toEqual([0, 1, 2, 3, 4, 5]);
    lane.closeSequence(sequence);
    expect(backend.memory().usedBytes).toBe(0);
  });
});
