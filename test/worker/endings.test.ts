/**
 * However an answer ends, its text is all text of the tokens that are counted, also what was held back because it might
 * have begun a stop string; and values that are not finite end it as the server's fault.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import { ioClock } from "../../engine/budget/clock.ts";
import type { Model } from "../../engine/port/model.ts";
import type { AppOptions } from "../../worker/app.ts";
import { app, chat, endless, events, MODEL, nano, post } from "./support.ts";

const PATH = "/v1/completions";

interface Answer {
  choices: { text: string; finish_reason: string }[];
  usage: { completion_tokens: number };
  budget: { limited_by: string | null };
}

/** Ways to end, each as the options of an app made anew for one request, and what the request says. */
const ENDINGS: Record<string, { options: () => Partial<AppOptions<object>>; body: object; expected: Partial<Answer["budget"]> }> = {
  "at its length": { options: () => ({}), body: { max_tokens: 7 }, expected: {} },
  "with its iterations": {
    options: () => ({}),
    body: { max_tokens: 30, budget: { iterations: 4, total_iterations: 26, exit: { threshold: 0 } } },
    expected: { limited_by: "iterations" },
  },
  "before a token whose time is over": {
    options: () => jumping(5),
    body: { max_tokens: 30, budget: { latency_ms: 60_000 } },
    expected: { limited_by: "latency" },
  },
  "before a token whose time is over, on the first": {
    options: () => jumping(1),
    body: { max_tokens: 30, budget: { latency_ms: 60_000, on_exhausted: "truncate" } },
    expected: { limited_by: "latency" },
  },
  "by the runtime's signal": { options: () => signalled(60), body: { max_tokens: 30 }, expected: { limited_by: "ceiling" } },
};

/** A clock that stands still and jumps an hour after some tokens, when their successor has already been planned. */
function jumping(tokens: number): Partial<AppOptions<object>> {
  const time = { now: 0 };
  const prelude = vi.spyOn(nano.backend, "prelude");
  const release = vi.spyOn(nano.backend, "release");
  const clock = ioClock(() => time.now);
  const breathe = async (): Promise<void> => {
    await scheduler.wait(0);
    if (prelude.mock.calls.length === tokens && release.mock.calls.length === tokens) time.now = 3_600_000; // between tokens
    clock.sync();
  };
  return { clock, breathe };
}

/** A backend whose runtime says that the CPU limit is near, after some core calls. */
function signalled(calls: number): Partial<AppOptions<object>> {
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
  return {};
}

afterEach(() => {
  vi.restoreAllMocks();
  nano.backend.cpuSignal!.clear();
});

async function complete(name: keyof typeof ENDINGS, stop: string[] | undefined, stream: boolean, model: Model = endless): Promise<Answer> {
  const { options, body } = ENDINGS[name]!;
  const call = app({ model, ...options() });
  const request = { model: MODEL, prompt: "Start with 9. Double it.", ...body, stop, stream };
  const response = await post(call, PATH, stream ? { ...request, stream_options: { include_usage: true } } : request);
  const text = await response.text();
  vi.restoreAllMocks();
  expect(response.status, text).toBe(200);
  if (!stream) return JSON.parse(text) as Answer;
  const chunks = (await events(new Response(text))).slice(0, -1).map((data) => JSON.parse(data) as Answer);
  const said = chunks.map(({ choices }) => choices[0]?.text ?? "").join("");
  const finish = chunks.map(({ choices }) => choices[0]?.finish_reason).find(Boolean)!;
  return { ...chunks.at(-1)!, choices: [{ text: said, finish_reason: finish }] };
}

describe("text held back for a stop string", () => {
  it.each(Object.keys(ENDINGS).flatMap((name) => [false, true].map((stream) => [name, stream] as const)))(
    "comes out where the answer ends %s (stream: %s)",
    async (name, stream) => {
      const plain = await complete(name, undefined, stream);
      const { text } = plain.choices[0]!;
      expect(text.length).toBeGreaterThan(0);
      expect(plain.budget).toMatchObject(ENDINGS[name]!.expected);
      const held = await complete(name, [`${text}\u0001`], stream);
      expect(held.choices).toMatchObject([{ text, finish_reason: "length" }]);
      expect(held.usage.completion_tokens).toBe(plain.usage.completion_tokens);
      expect(held.budget.limited_by).toBe(plain.budget.limited_by);
    },
  );

  it("comes out before a stop token, too", async () => {
    const response = await post(app(), "/v1/chat/completions", chat({ stop: ["Yes, indeed"] }));
    expect(await response.json()).toMatchObject({ choices: [{ message: { content: "Yes" }, finish_reason: "stop" }] });
  });
});

describe("logits that are not finite", () => {
  const broken: Model = {
    ...nano,
    backend: new Proxy(nano.backend, {
      get(target, key) {
        if (key === "argmax") return undefined; // so that all logits pass through readout
        if (key === "readout")
          return async (...args: Parameters<typeof target.readout>) => (await target.readout(...args)).map((l) => l.fill(NaN));
        const value: unknown = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      },
    }),
  };

  it.each([{}, { temperature: 1 }, { temperature: 0.5, top_p: 0.9 }, { budget: { exit: { criterion: "kl" } } }, { stream: true }])(
    "are the server's fault, of which the caller is told nothing: %j",
    async (body) => {
      vi.spyOn(console, "error").mockImplementation(() => undefined);
      const response = await post(app({ model: broken }), "/v1/chat/completions", chat(body));
      expect(response.status).toBe(500);
      const text = await response.text();
      expect(JSON.parse(text).error).toMatchObject({ type: "server_error", code: "model_error" });
      expect(text).not.toMatch(/NaN|finite|logit|weight/);
    },
  );

  it("at a temperature near 0 cannot come from dividing: the answer is the greedy one", async () => {
    const contentAt = async (temperature: number): Promise<string> => {
      const response = await post(app(), "/v1/chat/completions", chat({ temperature }));
      return ((await response.json()) as { choices: { message: { content: string } }[] }).choices[0]!.message.content;
    };
    for (const temperature of [1e-38, 1e-45, 1e-300]) expect(await contentAt(temperature)).toBe("Yes");
  });
});
