/**
 * Budgets over HTTP, inside workerd: whichever way one comes it is kept and echoed, what it cost is reported, and the
 * runtime's hard stop is heeded. Under a clock that stands still, as production's does.
 */
import { describe, expect, it } from "vitest";
import { frozenClock, ioClock } from "../../engine/budget/clock.ts";
import { endOf } from "../../engine/model/text/vocabulary.ts";
import type { AppOptions } from "../../worker/app.ts";
import type { CompletionEvent } from "../../worker/service.ts";
import { DATA_POINT, workLine, writeDataPoint } from "../../worker/telemetry.ts";
import { app, chat, endless, events, MODEL, nano, post, SERVER, type Call } from "./support.ts";

const CHAT = "/v1/chat/completions";
const clock = frozenClock();

/** Hard enough that every iteration which a budget buys is used. */
const LONG = `Start with 4. ${"Add 9. Double it. ".repeat(14)}What is the last digit?`;
const long = (budget: object = {}, body: object = {}) =>
  chat({ messages: [{ role: "user", content: LONG }], budget: { exit: { threshold: 0 }, ...budget }, ...body });

interface Answer {
  choices: { message: { content: string }; finish_reason: string }[];
  usage: { completion_tokens: number; work_units: number; cost_usd: number; iterations: { total: number; max: number } };
  budget: { granted: Record<string, any>; limited_by: string | null; latency_ms: number; latency_source: string };
  error: { code: string; param: string; minimum?: Record<string, number> };
}

function served(options: Partial<AppOptions<object>> = {}): Call {
  return app({ clock, ...options });
}

async function ask(
  body: object,
  options: Partial<AppOptions<object>> = {},
  headers: Record<string, string> = {},
): Promise<Answer & { response: Response }> {
  const response = await served(options)(`${SERVER}${CHAT}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { ...((await response.clone().json()) as Answer), response };
}

/** What the whole answer takes, and a budget of so much of it. */
const whole = await ask(long());
const ofWhole = (share: number) => ({ latency_ms: (whole.usage.work_units * share * msPerUnit + overheadMs + textMs) / 0.9 });
const details = (await (await served()(`${SERVER}/v1/models/${MODEL}`)).json()) as any;
const msPerUnit: number = details.cost.ms_per_unit.p95;
const overheadMs: number = details.cost.overhead_ms;
/** Milliseconds that the text takes. */
let textMs = 0;
endOf(nano.text.steps!([{ role: "user", content: LONG }], undefined, (ms) => void (textMs += ms)));

describe("a latency budget", () => {
  it("is spent and never exceeded, the more of it the deeper", async () => {
    let before = 0;
    for (const share of [0.3, 0.5, 0.7, 0.9]) {
      const { usage, budget } = await ask(long(ofWhole(share)));
      expect(usage.work_units).toBeLessThanOrEqual(budget.granted["work_units"]);
      expect(usage.work_units).toBeGreaterThan(0.85 * budget.granted["work_units"]);
      expect(budget.limited_by).toBe("latency");
      expect(budget.latency_source).toBe("estimated");
      expect(budget.latency_ms).toBeLessThanOrEqual(ofWhole(share).latency_ms);
      expect(usage.iterations.total).toBeGreaterThan(before);
      before = usage.iterations.total;
    }
  });

  it("that does not matter limits nothing", async () => {
    const { budget } = await ask(chat({ budget: { latency_ms: 5000 } }));
    expect(budget).toMatchObject({ limited_by: null, granted: { latency_ms: 5000 } });
  });

  it("below the minimum is refused; the minimum named is enough", async () => {
    const { error, response } = await ask(long({ latency_ms: 0.01 }));
    expect(response.status).toBe(422);
    const again = await ask(long({ latency_ms: error.minimum!["latency_ms"]! }));
    expect(again.response.status).toBe(200);
    expect(again.usage.iterations.max).toBe(1);
  });

  it("can be truncated instead: full depth, fewer tokens", async () => {
    const options = { model: endless };
    const { usage: full } = await ask(long({ iterations: 8 }, { max_tokens: 12 }), options);
    const share = { latency_ms: (full.work_units * 0.97 * msPerUnit + overheadMs + textMs) / 0.9 };
    const { usage, choices, budget } = await ask(long({ ...share, iterations: 8, on_exhausted: "truncate" }, { max_tokens: 12 }), options);
    expect(usage.completion_tokens).toBeLessThan(12);
    expect(usage.iterations.total).toBe(8 * usage.completion_tokens);
    expect(choices[0]!.finish_reason).toBe("length");
    expect(budget.limited_by).toBe("latency");
  });

  it("can be an error instead", async () => {
    const { response, error } = await ask(long({ ...ofWhole(0.5), on_exhausted: "error" }));
    expect(response.status).toBe(422);
    expect(error.code).toBe("budget_infeasible");
  });
});

describe("a budget", () => {
  it("in money buys by the deployment's prices, and costs no more", async () => {
    const price = { name: "test", usdPerRequest: 1e-6, usdPerMs: 1e-5 };
    const most = whole.usage.work_units * 0.5 * msPerUnit * price.usdPerMs + price.usdPerRequest;
    const { usage, budget } = await ask(long({ cost_usd: most }), { price });
    expect(usage.cost_usd).toBeLessThanOrEqual(most);
    expect(budget).toMatchObject({ limited_by: "cost", granted: { cost_usd: most } });
  });

  it("in the header X-Budget counts like one in the body, the stricter of both", async () => {
    const { budget, usage } = await ask(long({ iterations: 5 }), {}, { "X-Budget": "iterations=3, max-completion-tokens=1" });
    expect(budget.granted).toMatchObject({ iterations: 3, max_completion_tokens: 1 });
    expect(usage).toMatchObject({ completion_tokens: 1, iterations: { total: 3 } });
  });

  it("by Prefer is applied and said so; the SDK's timeout is a bound, too", async () => {
    const { budget, response } = await ask(chat(), {}, { Prefer: "wait=7", "X-Stainless-Timeout": "600" });
    expect(response.headers.get("Preference-Applied")).toBe("wait=7");
    expect(budget.granted["latency_ms"]).toBe(7000);
  });

  it("by the SDK's timeout leaves the depth of an answer as it is", async () => {
    const plain = await ask(chat());
    const { budget } = await ask(chat(), {}, { "X-Stainless-Timeout": "600" });
    expect(budget.granted["iterations"]).toBe(plain.budget.granted["iterations"]);
  });

  it("of the caller's key and of the deployment bound it, which the answer says", async () => {
    const options: Partial<AppOptions<object>> = {
      apiKeys: ["small", "large"],
      keyBudget: (key) => (key === "small" ? { iterations: 2 } : undefined),
      limits: { budget: { iterations: 6 } },
    };
    const small = await ask(long({ iterations: 9 }), options, { Authorization: "Bearer small" });
    expect(small.budget).toMatchObject({ granted: { iterations: 2 }, limited_by: "ceiling" });
    const large = await ask(long({ iterations: 9 }), options, { Authorization: "Bearer large" });
    expect(large.budget).toMatchObject({ granted: { iterations: 6 }, limited_by: "ceiling" });
    const own = await ask(long({ iterations: 4 }), options, { Authorization: "Bearer large" });
    expect(own.budget).toMatchObject({ granted: { iterations: 4 }, limited_by: "iterations" });
  });

  it("with a least quality is answered as well, or refused", async () => {
    const full = await ask(long({ min_quality: 0.9 }));
    expect(full.budget).toMatchObject({ granted: { min_quality: 0.9 } });
    const call = served();
    const refusals = [
      { min_quality: 0.9, ...ofWhole(0.02) },
      { min_quality: 0.9, iterations: 2 },
      { min_quality: 1 },
      { min_quality: 2 },
    ].map(async (budget) => (await post(call, CHAT, long(budget))).json() as Promise<Answer>);
    expect((await Promise.all(refusals)).map(({ error }) => error)).toMatchObject([
      { code: "budget_infeasible", param: "budget.latency_ms" },
      { code: "budget_infeasible", param: "budget.min_quality" },
      { param: "budget.min_quality", message: expect.stringMatching(/at most 0\.\d+, what the model reaches/) },
      { param: "budget.min_quality" },
    ]);
    const header = await ask(long({}), {}, { "X-Budget": "min-quality=0.8" });
    expect(header.budget).toMatchObject({ granted: { min_quality: 0.8 } });
  });

  it("of total iterations caps the request", async () => {
    const { usage, budget } = await ask(long({ total_iterations: 7 }));
    expect(usage.iterations.total).toBeLessThanOrEqual(7);
    expect(budget).toMatchObject({ limited_by: "iterations", granted: { total_iterations: 7 } });
  });

  it("holds for requests that come together, each its own", async () => {
    const call = served();
    const bodies = [0.4, 0.6, 0.8, 1.2].map((share) => long({ latency_ms: ofWhole(share).latency_ms * 4 }));
    const answers = (await Promise.all(bodies.map(async (body) => (await post(call, CHAT, body)).json()))) as Answer[];
    for (const { usage, budget } of answers) expect(usage.work_units).toBeLessThanOrEqual(budget.granted["work_units"]);
  });

  it("too tight for the load is refused, and the others are not late", async () => {
    const call = served();
    const tight = ofWhole(0.5);
    const answers = await Promise.all(
      Array.from({ length: 12 }, async () => post(call, CHAT, long({ ...tight, exit: { threshold: 0, min_iterations: 12 } }))),
    );
    const refused = answers.filter((r) => r.status === 422);
    expect(refused.length).toBeGreaterThan(0);
    expect(((await refused[0]!.json()) as Answer).error).toMatchObject({ code: "budget_infeasible", param: "budget.latency_ms" });
    for (const response of answers.filter((r) => r.status === 200))
      expect(((await response.json()) as Answer).budget.latency_ms).toBeLessThanOrEqual(tight.latency_ms);
  });
});

describe("a stream", () => {
  it("ends with usage and budget", async () => {
    const response = await post(served(), CHAT, long(ofWhole(0.5), { stream: true, stream_options: { include_usage: true } }));
    const last = JSON.parse((await events(response)).at(-2)!) as Answer;
    expect(last.choices).toEqual([]);
    expect(last.budget.limited_by).toBe("latency");
    expect(last.usage.work_units).toBeLessThanOrEqual(last.budget.granted["work_units"]);
  });
});

describe("a clock", () => {
  it("that moves only at I/O tightens, and never gives nonsense", async () => {
    let now = 0;
    const io = ioClock(() => now);
    const slow = app({
      clock: io,
      breathe: async () => {
        now += 50;
        io.sync();
      },
    });
    const { usage, budget } = (await (await post(slow, CHAT, long({ ...ofWhole(1), latency_ms: 60 }, { max_tokens: 9 }))).json()) as Answer;
    expect(usage.completion_tokens).toBeLessThan(9);
    expect(budget.latency_ms).toBeGreaterThanOrEqual(0);
  });
});

describe("the hard stop", () => {
  const signal = nano.backend.cpuSignal!;
  const memory = nano.backend as unknown as { arena: { words: Uint32Array }; kernels: { run: { __instance_signal: WebAssembly.Global } } };
  const raise = () => (memory.arena.words[Number(memory.kernels.run.__instance_signal.value) / 4] = 24);

  it("ends a request with what it has, and no later one", async () => {
    const iterate = nano.backend.iterate.bind(nano.backend);
    let calls = 0;
    nano.backend.iterate = (rows) => {
      if (++calls === 3) raise();
      return iterate(rows);
    };
    try {
      const { choices, usage, budget } = await ask(long({}, { max_tokens: 9 }), { model: { ...endless, backend: nano.backend } });
      expect(usage.iterations.total).toBeLessThanOrEqual(4);
      expect(choices[0]!.finish_reason).toBe("length");
      expect(budget.limited_by).toBe("ceiling");
    } finally {
      nano.backend.iterate = iterate;
    }
    expect(signal.read()).toBe(0);
    expect((await ask(long({ iterations: 6 }))).usage.iterations.max).toBe(6);
  });
});

describe("what it cost", () => {
  it("is in Server-Timing, marked as estimated", async () => {
    const { response } = await ask(long(ofWhole(0.5)));
    expect(response.headers.get("Server-Timing")).toMatch(/^prefill;dur=[\d.]+;desc="estimated", decode;dur=[\d.]+;desc="estimated"$/);
  });

  it("is told to the deployment, as a data point and as a line for the Tail Worker", async () => {
    const seen: CompletionEvent[] = [];
    const { usage } = await ask(long({ iterations: 3 }), { onCompletion: (event) => seen.push(event) });
    expect(seen).toHaveLength(1);
    const points: AnalyticsEngineDataPoint[] = [];
    writeDataPoint({ writeDataPoint: (point) => void points.push(point!) }, seen[0]!);
    expect(points[0]).toMatchObject({ indexes: [MODEL], blobs: ["chat", "stop", "iterations", "degrade", nano.backend.name, ""] });
    const { blobs, doubles } = points[0]!;
    expect([blobs!.length, doubles!.length], "as many values as named columns").toEqual([
      DATA_POINT.blobs.length,
      DATA_POINT.doubles.length,
    ]);
    expect(doubles![DATA_POINT.doubles.indexOf("gen_ai.usage.output_tokens")]).toBe(usage.completion_tokens);
    const { units } = (JSON.parse(workLine(seen[0]!)) as any)["fathom.work"];
    expect(units).toBeCloseTo(usage.work_units, 6);
  });

  it("can be reckoned beforehand from the model's card", () => {
    expect(details.cost).toMatchObject({ ms_per_unit: { p50: expect.any(Number), p95: expect.any(Number) }, price: { name: "workers" } });
  });
});
