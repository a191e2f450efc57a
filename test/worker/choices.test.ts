/**
 * `n`: several completions of one prompt. Each is what a request of its own gives under its own seed; the prompt is run,
 * and counted, once.
 */
import { exports } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import type { RunInputs, RunResult } from "../../worker/rpc.ts";
import { app, chat, endless, events, LIAR, MODEL, nano, openai, post, worker } from "./support.ts";

const CHAT = "/v1/chat/completions";
const TEXT = "/v1/completions";
const call = app({ model: endless });

interface Answered {
  choices: { index: number; text: string; finish_reason: string; message?: { content: string } }[];
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number; work_units: number; iterations: { total: number } };
  budget: { limited_by: string | null; exits: { converged: number; capped: number } };
  error?: { code: string; param: string; message: string };
}

const text = (body: object = {}): object => ({ model: MODEL, prompt: "Question:", max_tokens: 8, temperature: 2, seed: 21, ...body });
const ask = async (body: object, path = TEXT, through = call): Promise<Answered> => (await post(through, path, body)).json();

/** Bytes that requests hold in the backend. */
function held(): number {
  const { "kv cache": cache = 0, rows = 0 } = endless.backend.memory().owners;
  return cache + rows;
}

describe("several completions of a prompt", () => {
  it("are those of requests of their own, whose seeds follow on each other", async () => {
    const together = await ask(text({ n: 4 }));
    const alone = await Promise.all([0, 1, 2, 3].map((k) => ask(text({ seed: 21 + k }))));
    expect(together.choices.map(({ text }) => text)).toEqual(alone.map(({ choices }) => choices[0]!.text));
    expect(together.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(new Set(together.choices.map(({ text }) => text)).size).toBeGreaterThan(1);
  });

  it("count their prompt once, in tokens and in work", async () => {
    const [one, four] = [await ask(text()), await ask(text({ n: 4 }))];
    expect(four.usage.prompt_tokens).toBe(one.usage.prompt_tokens);
    expect(four.usage.completion_tokens).toBe(4 * 8);
    expect(four.usage.total_tokens).toBe(four.usage.prompt_tokens + 32);
    expect(four.usage.work_units).toBeLessThan(4 * one.usage.work_units);
    expect(four.budget.exits.converged + four.budget.exits.capped).toBe(1 + 4 * 7);
  });

  it("are all the same where nothing is drawn", async () => {
    const { choices } = await ask(chat({ n: 3 }), CHAT, worker);
    const [plain] = (await ask(chat(), CHAT, worker)).choices;
    expect(choices).toEqual([0, 1, 2].map((index) => ({ ...plain, index })));
  });

  it("end each by itself, by a stop string too", async () => {
    const free = await ask(text({ n: 4, max_tokens: 12 }));
    const stop = free.choices[1]!.text.slice(3, 5);
    const stopped = await ask(text({ n: 4, max_tokens: 12, stop }));
    stopped.choices.forEach((choice, i) => {
      const whole = free.choices[i]!.text;
      const at = whole.indexOf(stop);
      expect(choice.text).toBe(at < 0 ? whole : whole.slice(0, at));
      expect(choice.finish_reason).toBe(at < 0 ? "length" : "stop");
    });
    expect(stopped.usage.completion_tokens).toBeLessThan(free.usage.completion_tokens);
  });

  it("share what was granted", async () => {
    const whole = await ask(text({ n: 3, max_tokens: 12 }));
    const budget = { total_iterations: 40, exit: { criterion: "none" }, iterations: 4, on_exhausted: "truncate" };
    const cut = await ask(text({ n: 3, max_tokens: 12, budget }));
    expect(cut.usage.iterations.total).toBeLessThanOrEqual(40);
    expect(cut.usage.completion_tokens).toBeLessThan(whole.usage.completion_tokens);
    expect(cut.budget.limited_by).toBe("iterations");
    const lengths = cut.choices.map(({ text }) => text.length);
    expect(Math.min(...lengths)).toBeGreaterThan(0);
  });

  it("are refused before any work where the budget holds fewer", async () => {
    const spied = vi.spyOn(endless.backend, "prelude");
    const budget = { on_exhausted: "error", total_iterations: 40, iterations: 2 };
    expect((await ask(text({ n: 2, budget }))).choices).toHaveLength(2);
    spied.mockClear();
    const { error } = await ask(text({ n: 4, budget }));
    expect(error).toMatchObject({ code: "budget_infeasible", param: "budget.total_iterations" });
    expect(error!.message).toContain("4 completions of 8 new tokens");
    expect(spied).not.toHaveBeenCalled();
    spied.mockRestore();
  });

  it("give all their memory back", async () => {
    await ask(text({ n: 5 }));
    expect(held()).toBe(0);
  });

  it("are refused by name where their number is none, or more than the deployment allows", async () => {
    for (const n of [0, -1, 1.5, 129, "2", true]) expect((await ask(text({ n }))).error).toMatchObject({ param: "n" });
    const few = app({ model: nano, limits: { maxChoices: 2 } });
    expect((await ask(text({ n: 2 }), TEXT, few)).choices).toHaveLength(2);
    expect((await ask(text({ n: 3 }), TEXT, few)).error).toMatchObject({ code: "invalid_value", param: "n" });
    expect((await ask(text({ n: null }))).choices).toHaveLength(1);
  });
});

describe("a stream of several completions", () => {
  it("says at each piece whose it is, ends each by itself, and the usage comes last", async () => {
    const plain = await ask(text({ n: 3 }));
    const data = await events(await post(call, TEXT, text({ n: 3, stream: true, stream_options: { include_usage: true } })));
    expect(data.at(-1)).toBe("[DONE]");
    const chunks = data.slice(0, -1).map((line) => JSON.parse(line) as Answered);
    const pieces = chunks.flatMap(({ choices }) => choices);
    for (const { index, text, finish_reason } of plain.choices) {
      const own = pieces.filter((piece) => piece.index === index);
      expect(own.map((piece) => piece.text).join("")).toBe(text);
      expect(own.map((piece) => piece.finish_reason)).toEqual([...own.slice(1).map(() => null), finish_reason]);
    }
    expect(chunks.at(-1)!.choices).toEqual([]);
    expect(chunks.at(-1)!.usage).toEqual(plain.usage);
  });

  it("is what OpenAI's client puts together, roles included", async () => {
    const body = { model: MODEL, messages: [{ role: "user" as const, content: LIAR }], n: 2, seed: 4, temperature: 1.9, max_tokens: 6 };
    const plain = await openai(call).chat.completions.create(body);
    const contents = ["", ""];
    const roles: number[] = [];
    for await (const { choices } of await openai(call).chat.completions.create({ ...body, stream: true }))
      for (const { index, delta } of choices) {
        if (delta.role === "assistant") roles.push(index);
        contents[index] += delta.content ?? "";
      }
    expect(roles.sort((a, b) => a - b)).toEqual([0, 1]);
    expect(contents).toEqual(plain.choices.map(({ message }) => message.content));
  });

  it("comes token by token of each in turn", async () => {
    const data = await events(await post(call, TEXT, text({ n: 2, stream: true })));
    const order = data.slice(0, -1).flatMap((line) => (JSON.parse(line) as Answered).choices.map(({ index }) => index));
    expect(order.slice(0, 4)).toEqual([0, 1, 0, 1]);
  });
});

describe("several completions over a binding", () => {
  const { Fathom } = exports as unknown as {
    Fathom: { run(model: string, inputs: RunInputs): Promise<RunResult & ReadableStream<Uint8Array>> };
  };

  it("are a list beside the first one, or parts with an index", async () => {
    const inputs = { prompt: "Question:", n: 2, seed: 21, temperature: 2, max_tokens: 6 };
    const http = await ask({ model: MODEL, ...inputs }, TEXT, worker);
    const { response, choices, usage } = await Fathom.run(MODEL, inputs);
    expect(choices).toEqual(http.choices.map(({ text, finish_reason }) => ({ response: text, finish_reason })));
    expect(response).toBe(choices![0]!.response);
    expect(usage).toEqual(http.usage);
    const streamed = await new Response(await Fathom.run(MODEL, { ...inputs, stream: true })).text();
    const parts = streamed
      .split("\n\n")
      .filter((event) => event.startsWith("data: {"))
      .map((event) => JSON.parse(event.slice("data: ".length)) as { index: number; response: string });
    for (const [index, { response }] of choices!.entries())
      expect(
        parts
          .filter((part) => part.index === index)
          .map((part) => part.response)
          .join(""),
      ).toBe(response);
  });
});
