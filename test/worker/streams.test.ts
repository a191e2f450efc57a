/**
 * Streams in one isolate: their order on the wire, several at once, callers that go away, failures midway.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import { FathomError } from "../../engine/errors.ts";
import { createApp } from "../../worker/app.ts";
import { app, chat, endless, events, MODEL, nano, openai, post, SERVER } from "./support.ts";

const CHAT = "/v1/chat/completions";
const call = app({ model: endless });

/** A long completion: 40 tokens of one prompt. */
const long = (prompt: string, more: object = {}) => ({
  model: MODEL,
  prompt,
  max_tokens: 40,
  temperature: 1,
  seed: 5,
  stream: true,
  ...more,
});

/** Bytes that requests hold in the backend: what it keeps between them does not count. */
function held(): number {
  const { "kv cache": cache = 0, rows = 0 } = endless.backend.memory().owners;
  return cache + rows;
}

/** Waits until requests hold nothing, or for a second. */
async function memoryIsFreed(): Promise<void> {
  await vi.waitFor(() => expect(held()).toBe(0), { timeout: 1000 });
}

afterEach(() => vi.restoreAllMocks());

describe("a stream", () => {
  it("is server-sent events: role, text, finish reason, usage where wanted, [DONE]", async () => {
    const response = await post(call, CHAT, chat({ stream: true, stream_options: { include_usage: true }, max_tokens: 3 }));
    expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
    const data = await events(response);
    expect(data.at(-1)).toBe("[DONE]");
    const chunks = data.slice(0, -1).map((d) => JSON.parse(d));
    expect(chunks.map((c) => c.object)).toEqual(chunks.map(() => "chat.completion.chunk"));
    expect(chunks[0].choices[0].delta.role).toBe("assistant");
    expect(chunks.map((c) => c.choices[0]?.finish_reason ?? null)).toEqual([...chunks.slice(0, -2).map(() => null), "length", null]);
    expect(chunks.at(-1).usage.completion_tokens).toBe(3);
  });

  it("has no usage where nobody asked for it", async () => {
    const data = await events(await post(call, CHAT, chat({ stream: true, max_tokens: 3 })));
    expect(data.some((d) => d.includes("usage"))).toBe(false);
  });

  it("arrives token by token, not all at the end", async () => {
    const open = vi.spyOn(endless.backend, "prelude");
    const response = await post(call, "/v1/completions", long("Question:"));
    const reader = response.body!.getReader();
    await reader.read();
    expect(open.mock.calls.length).toBeLessThan(10);
    await reader.cancel();
  });
});

describe("two streams at once", () => {
  const read = async (prompt: string, arrived: (prompt: string) => void): Promise<string> => {
    let text = "";
    for await (const chunk of await openai(call).completions.create({ ...long(prompt), stream: true })) {
      arrived(prompt);
      text += chunk.choices[0]?.text ?? "";
    }
    return text;
  };

  it("take turns, and each says what it says alone", async () => {
    const prompts = ["Question: Ada lies.", "Start with 9. Double it."] as const;
    const alone = [];
    for (const prompt of prompts) alone.push(await read(prompt, () => undefined));
    const order: string[] = [];
    const together = await Promise.all(prompts.map((prompt) => read(prompt, (who) => order.push(who))));
    expect(together).toEqual(alone);
    expect(alone[0]).not.toBe(alone[1]);
    const turns = order.filter((who, i) => who !== order[i - 1]).length;
    expect(turns, "changes from one stream to the other").toBeGreaterThan(10);
  });
});

describe("a caller who goes away", () => {
  it("from a stream ends it at the next token and frees its memory", async () => {
    const prelude = vi.spyOn(endless.backend, "prelude");
    const response = await post(call, "/v1/completions", long("Question:", { max_tokens: 500 }));
    const reader = response.body!.getReader();
    await reader.read();
    expect(held()).toBeGreaterThan(0);
    await reader.cancel();
    await memoryIsFreed();
    expect(prelude.mock.calls.length).toBeLessThan(10);
  });

  it("through the SDK's abort, too", async () => {
    const stream = await openai(call).completions.create({ ...long("Question:", { max_tokens: 500 }), stream: true });
    for await (const _ of stream) break;
    await memoryIsFreed();
  });

  it.each([true, false])("before the answer has begun or while it is computed costs no more than that (stream: %s)", async (stream) => {
    const prelude = vi.spyOn(endless.backend, "prelude");
    const gone = new AbortController();
    const breathe = async (): Promise<void> => {
      await scheduler.wait(0);
      if (prelude.mock.calls.length === 4) gone.abort();
    };
    const request = new Request(`${SERVER}/v1/completions`, {
      method: "POST",
      body: JSON.stringify(long("Question:", { stream })),
      signal: gone.signal,
    });
    const response = await createApp({ model: endless, breathe }).request(request);
    if (stream) await response.body?.pipeTo(new WritableStream()).catch(() => undefined);
    await memoryIsFreed();
    expect(prelude.mock.calls.length).toBeLessThan(10);
  });
});

describe("a failure midway", () => {
  const failAfter = (calls: number): void => {
    const iterate = nano.backend.iterate.bind(nano.backend);
    let seen = 0;
    vi.spyOn(nano.backend, "iterate").mockImplementation((rows) => {
      if (++seen > calls) throw new Error("secret: disk on fire");
      return iterate(rows);
    });
  };

  it("ends the stream with an error event that tells no internals, frees the memory and is logged", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
    failAfter(30);
    const response = await post(call, "/v1/completions", long("Question:", { budget: { iterations: 8, exit: { threshold: 0 } } }));
    expect(response.status).toBe(200);
    const data = await events(response);
    expect(JSON.parse(data.at(-1)!)).toMatchObject({ error: { type: "server_error", code: "internal_error", param: null } });
    expect(data.join()).not.toContain("secret");
    expect(log).toHaveBeenCalledOnce();
    expect(held()).toBe(0);
  });

  it("for want of memory is a 503, to be tried again", async () => {
    vi.spyOn(nano.backend, "openSequence").mockImplementation(() => {
      throw new FathomError("out_of_memory", "The KV cache needs 9 MB; 8 MB are free.");
    });
    const response = await post(call, CHAT, chat({ stream: true }));
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await response.json()).toMatchObject({ error: { type: "server_error", code: "out_of_memory" } });
  });

  it("before the first token is a 500 without internals", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
    failAfter(1);
    for (const stream of [true, false]) {
      const response = await post(call, CHAT, chat({ stream }));
      expect(response.status).toBe(500);
      expect(response.headers.get("x-request-id")).toBeTruthy();
      expect(await response.text()).not.toContain("secret");
    }
    expect(log).toHaveBeenCalledTimes(2);
    expect(held()).toBe(0);
  });
});
