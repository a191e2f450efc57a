/**
 * Faults by name that come from within the isolate: clocks that are set, the runtime's CPU signal in the middle of a
 * token, memory that is full. Each ends at most the requests that it strikes; after it the next one is answered as
 * ever, memory and reservations are back, and every finished answer was billed once.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Clock } from "../../engine/budget/clock.ts";
import { FathomError } from "../../engine/errors.ts";
import type { Sequence } from "../../engine/port/backend.ts";
import { hostClock } from "../../worker/host.ts";
import { sharedBy } from "../../worker/schedulers.ts";
import { expectIdle, expectRight } from "./recovered.ts";
import { app, chat, endless, events, MODEL, nano, post } from "./support.ts";

const CHAT = "/v1/chat/completions";
const TEXT = "/v1/completions";

afterEach(() => {
  vi.restoreAllMocks();
  nano.backend.cpuSignal!.clear();
});

describe("a clock", () => {
  /** Readings after which an hour is lost, won, or no number is given. */
  const FAULTS: Record<string, (ms: number, reading: number) => number> = {
    "that is set back by an hour": (ms, reading) => (reading > 6 ? ms - 3_600_000 : ms),
    "that is set back again and again": (ms, reading) => ms - 1000 * reading,
    "that runs backwards": (ms) => -ms,
    "that gives no number": (ms, reading) => (reading % 2 === 0 ? NaN : ms),
    "that gives infinities": (ms, reading) => (reading % 3 === 0 ? -Infinity : ms),
  };

  it.each(Object.entries(FAULTS).flatMap(([name, fault]) => [true, false].map((moves) => [name, moves, fault] as const)))(
    "%s changes no answer, no bill and no reservation (moves: %s)",
    async (_, moves, fault) => {
      let readings = 0;
      const clock: Clock = { now: () => fault(performance.now(), readings++), moves };
      const told: number[] = [];
      const call = app({ clock, onCompletion: ({ report }) => void told.push(report.spending.units) });
      for (const body of [chat(), chat({ budget: { latency_ms: 600_000 } })]) {
        const response = await post(call, CHAT, body);
        const answer = (await response.json()) as any;
        expect(response.status, JSON.stringify(answer)).toBe(200);
        expect(answer.choices[0].message.content).toBe("Yes");
        expect(answer.budget.latency_ms).toBeGreaterThanOrEqual(0);
        expect(Number.isFinite(answer.budget.latency_ms)).toBe(true);
        expect(answer.budget.limited_by).toBeNull();
      }
      await Promise.all([expectRight(call), expectRight(call), expectRight(call)]);
      expect(told).toHaveLength(5);
      expect(new Set(told).size, "each spent the same").toBe(1);
      await expectIdle(nano, clock);
    },
  );
});

describe("the runtime's signal that the CPU limit is near", () => {
  const endlessly = { model: MODEL, prompt: "Question:", max_tokens: 40, temperature: 1, seed: 5 };

  /** Raises the signal within a call of the core, some calls from now. */
  function signalAfter(calls: number): void {
    const { arena, kernels } = nano.backend as unknown as {
      arena: { words: Uint32Array };
      kernels: { run: { __instance_signal: WebAssembly.Global } };
    };
    const iterate = nano.backend.iterate.bind(nano.backend);
    let seen = 0;
    vi.spyOn(nano.backend, "iterate").mockImplementation((rows) => {
      if (++seen === calls) arena.words[Number(kernels.run.__instance_signal.value) / 4] = 24;
      return iterate(rows);
    });
  }

  it.each([1, 2, 7, 30].flatMap((calls) => [false, true].map((stream) => [calls, stream] as const)))(
    "in core call %i ends that answer with what it has, once billed; the next one is whole (stream: %s)",
    async (calls, stream) => {
      const told: { tokens: number; units: number }[] = [];
      const onCompletion = ({ report }: any): void => void told.push({ tokens: report.completionTokens, units: report.spending.units });
      signalAfter(calls);
      const response = await post(app({ model: endless, onCompletion }), TEXT, {
        ...endlessly,
        stream,
        ...(stream && { stream_options: { include_usage: true } }),
      });
      expect(response.status).toBe(200);
      const { usage, budget } = stream ? JSON.parse((await events(response)).at(-2)!) : ((await response.json()) as any);
      expect(budget.limited_by).toBe("ceiling");
      expect(usage.completion_tokens).toBeGreaterThan(0);
      expect(usage.completion_tokens).toBeLessThan(40);
      expect(told).toMatchObject([{ tokens: usage.completion_tokens }]);
      await expectIdle(nano);
      vi.restoreAllMocks();
      await expectRight(app({ onCompletion }));
      expect(told).toHaveLength(2);
      await expectIdle(nano);
    },
  );

  it("harms nobody who comes after it, and is seen once", async () => {
    signalAfter(3);
    await post(app({ model: endless }), TEXT, endlessly);
    vi.restoreAllMocks();
    expect(nano.backend.cpuSignal!.read()).toBe(0);
    const call = app();
    await Promise.all([expectRight(call), expectRight(call)]);
    await expectIdle(nano);
  });
});

describe("memory that is full", () => {
  /** Takes what is left, as long requests would: what is kept of earlier prompts, by tests of other files too, goes first. */
  function fill(): Sequence[] {
    sharedBy(nano, hostClock).prefixes.clear();
    const options = { capacity: nano.config.contextLength, maxIterations: 64, cache: nano.card.cacheStrategy };
    const open: Sequence[] = [];
    for (let capacity = options.capacity; capacity >= 1;)
      try {
        open.push(nano.backend.openSequence({ ...options, capacity }));
      } catch (error) {
        if (!(error instanceof FathomError && error.code === "out_of_memory")) throw error;
        capacity = Math.floor(capacity / 2);
      }
    return open;
  }

  it("refuses newcomers with 503 and a time to come back, unbilled; once it is free they are answered", async () => {
    const told = vi.fn();
    const call = app({ onCompletion: told });
    const open = fill();
    for (const stream of [false, true]) {
      const response = await post(call, CHAT, chat({ stream }));
      expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
      expect(await response.json()).toMatchObject({ error: { code: "out_of_memory" } });
    }
    expect(told).not.toHaveBeenCalled();
    for (const sequence of open) nano.backend.closeSequence(sequence);
    await expectRight(call);
    expect(told).toHaveBeenCalledOnce();
    await expectIdle(nano);
  });
});
