/**
 * Faults by name, in the runtime that serves: storage that fails in every way, callers who leave. After each the next
 * request is answered as ever, memory and reservations are back, and every finished answer was counted once.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import { loadModel, type Model } from "../../engine/port/model.ts";
import { shareModel } from "../../worker/loading.ts";
import { assetsFolder } from "../../worker/model-source.ts";
import { createWorkerBackend } from "../../worker/wasm-backend.ts";
import { expectIdle, expectRight } from "./recovered.ts";
import { app, ASSETS, chat, MODEL, nano, post, SERVER, type Call } from "./support.ts";

const CHAT = "/v1/chat/completions";
const WEIGHTS = "model.safetensors";

interface Served {
  readonly call: Call;
  /** The model, once it is loaded. */
  readonly model: () => Model | undefined;
  /** Finished answers that the deployment was told of. */
  readonly billed: () => number;
  /** Times that the weights were asked for. */
  readonly reads: () => number;
  /** Lets so much time pass for what is remembered of failures. */
  readonly pass: (ms: number) => void;
  readonly faults: unknown[];
}

type Fault = (response: Response) => Response | Promise<Response>;

/** The deployed app over assets whose `file` is struck by a fault at its first `times` reads. */
function served(file: string, times: number, fault: Fault, timeLimitMs = 5000): Served {
  let [struck, reads, nowMs, billed] = [0, 0, 0, 0];
  let model: Model | undefined;
  const faults: unknown[] = [];
  const assets = {
    async fetch(input: string, init: RequestInit<RequestInitCfProperties>) {
      const response = await ASSETS.fetch(input, init);
      if (input.endsWith(WEIGHTS)) reads++;
      return input.endsWith(`/${file}`) && ++struck <= times ? fault(response) : response;
    },
  } as unknown as Fetcher;
  const load = async (_: object, signal: AbortSignal): Promise<Model> =>
    (model = await loadModel(assetsFolder(assets, MODEL, { signal }), createWorkerBackend));
  const call = app({
    model: shareModel(load, { timeLimitMs, clock: { now: () => nowMs } }),
    onCompletion: () => void billed++,
    onError: ({ error }) => void faults.push(error),
  });
  return { call, model: () => model, billed: () => billed, reads: () => reads, pass: (ms) => (nowMs += ms), faults };
}

const cut: Fault = async (response) => {
  const bytes = await response.arrayBuffer();
  return new Response(bytes.slice(0, bytes.byteLength >> 1), { headers: { "content-length": String(bytes.byteLength) } });
};
const cutInSilence: Fault = async (response) => {
  const bytes = await response.arrayBuffer();
  return new Response(bytes.slice(0, bytes.byteLength >> 1));
};
const brokenOff: Fault = async (response) => {
  const reader = response.body!.getReader();
  let isFirst = true;
  const body = new ReadableStream({
    type: "bytes",
    async pull(controller) {
      if (!isFirst) return controller.error(new Error("connection lost"));
      isFirst = false;
      controller.enqueue((await reader.read()).value!.slice(0, 1000));
    },
    cancel: () => reader.cancel(),
  });
  return new Response(body);
};
const fails: Fault = () => new Response("overloaded", { status: 503 });
const rejects: Fault = () => Promise.reject(new TypeError("network"));
const isMissing: Fault = () => new Response("no", { status: 404 });
const hangs: Fault = () => new Promise(() => undefined);
const isDamaged: Fault = async (response) => {
  const bytes = new Uint8Array(await response.arrayBuffer());
  bytes[bytes.length >> 1]! ^= 1;
  return new Response(bytes, { headers: { "content-length": String(bytes.length) } });
};

afterEach(() => vi.restoreAllMocks());

describe("storage", () => {
  it.each([
    ["that fails once", WEIGHTS, fails],
    ["that does not answer once", WEIGHTS, rejects],
    ["that breaks off once", WEIGHTS, brokenOff],
    ["that ends the weights too early once", WEIGHTS, cut],
    ["that ends the weights too early once, without their length", WEIGHTS, cutInSilence],
    ["that fails once for the config", "config.json", fails],
    ["that breaks off once within the tokenizer", "tokenizer.json", brokenOff],
    ["that lacks the card once", "card.json", isMissing],
    ["that lacks the chat template once", "chat_template.jinja", isMissing],
    ["that lacks a listed file once", "tokenizer.json", isMissing],
  ])("%s is not noticed by callers", async (_, file, fault) => {
    const { call, model, billed, faults } = served(file, 1, fault);
    await expectRight(call);
    expect([billed(), faults]).toEqual([1, []]);
    await expectIdle(model()!);
  });

  it.each([
    ["fails", WEIGHTS, fails, 1],
    ["lacks the weights", WEIGHTS, isMissing, 1],
    ["has weights with one wrong bit", WEIGHTS, isDamaged, 30],
    ["has a tokenizer with one wrong bit", "tokenizer.json", isDamaged, 30],
    ["has half of the weights", WEIGHTS, cut, 1],
  ] as const)(
    "that %s is 503 at once, is not read by every request, and served from as soon as it is mended",
    async (_, file, fault, seconds) => {
      let isMended = false;
      const { call, model, billed, faults, reads, pass } = served(file, Infinity, (response) => (isMended ? response : fault(response)));
      for (let request = 0; request < 4; request++) {
        const response = await post(call, CHAT, chat());
        expect([response.status, response.headers.get("retry-after")]).toEqual([503, String(seconds)]);
        expect(((await response.json()) as any).error.code).toBe("model_unavailable");
      }
      expect(faults).toHaveLength(1);
      const before = reads();
      isMended = true;
      expect((await post(call, CHAT, chat())).status, "the failure is remembered").toBe(503);
      expect(reads()).toBe(before);
      pass(seconds * 1000);
      await expectRight(call);
      expect(billed()).toBe(1);
      await expectIdle(model()!);
    },
  );

  it("that never answers ends the load in time; the next try succeeds", async () => {
    const { call, model, billed, faults, pass } = served(WEIGHTS, 1, hangs, 100);
    expect((await post(call, CHAT, chat())).status).toBe(503);
    expect(faults).toMatchObject([{ code: "unavailable", message: expect.stringContaining("100 ms") }]);
    pass(1000);
    await expectRight(call);
    expect(billed()).toBe(1);
    await expectIdle(model()!);
  });
});

describe("many first requests at once", () => {
  it("share one load, one read of the weights each way, and one bill each", async () => {
    const { call, model, billed, reads } = served(WEIGHTS, 0, fails);
    await Promise.all(Array.from({ length: 6 }, () => expectRight(call)));
    const alone = served(WEIGHTS, 0, fails);
    await expectRight(alone.call);
    expect(reads()).toBe(alone.reads());
    expect(billed()).toBe(6);
    await expectIdle(model()!);
  });
});

describe("a caller who leaves", () => {
  const long = { model: MODEL, prompt: "Question:", max_tokens: 400, temperature: 1, seed: 5 };

  it.each([true, false])("in the middle of an answer is billed for nothing and harms nobody (stream: %s)", async (stream) => {
    const told = vi.fn();
    const prelude = vi.spyOn(nano.backend, "prelude");
    const gone = new AbortController();
    const breathe = async (): Promise<void> => {
      await scheduler.wait(0);
      if (prelude.mock.calls.length === 3) gone.abort();
    };
    const endless = { ...nano, config: { ...nano.config, eosTokens: [] } };
    const call = app({ model: endless, breathe, onCompletion: told });
    const request = new Request(`${SERVER}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...long, stream }),
      signal: gone.signal,
    });
    const response = await call(request);
    if (stream) await response.body?.pipeTo(new WritableStream()).catch(() => undefined);
    await expectIdle(nano);
    expect(told).not.toHaveBeenCalled();
    prelude.mockRestore();
    await expectRight(app({ onCompletion: told }));
    expect(told).toHaveBeenCalledOnce();
    await expectIdle(nano);
  });
});
