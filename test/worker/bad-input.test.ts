/**
 * Bad input: a clear error in OpenAI's shape that names the parameter, before any work is done.
 */
import { APIError } from "openai";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { app, chat, LIAR, MODEL, nano, openai, post } from "./support.ts";

const open = vi.spyOn(nano.backend, "openSequence");
afterEach(() => {
  expect(open, "work was begun").not.toHaveBeenCalled();
  open.mockClear();
});

afterAll(() => open.mockRestore());

/** Bodies as large as any that are tried here. */
const call = app({ limits: { maxBodyBytes: 1 << 20 } });
const CHAT = "/v1/chat/completions";
const TEXT = "/v1/completions";
const JSON_TYPE = { "content-type": "application/json" };

interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string };
}

async function refusal(path: string, body: unknown): Promise<{ status: number } & ErrorBody["error"]> {
  const response = await post(call, path, body);
  expect(response.headers.get("x-request-id")).toBeTruthy();
  expect(response.headers.get("content-type")).toMatch(/^application\/json/);
  const { error } = (await response.json()) as ErrorBody;
  expect(Object.keys(error).toSorted()).toEqual(["code", "message", "param", "type"]);
  return { status: response.status, ...error };
}

describe("a prompt", () => {
  it("that is empty is refused", async () => {
    expect(await refusal(CHAT, chat({ messages: [] }))).toMatchObject({ status: 400, code: "empty_prompt", param: "messages" });
    expect(await refusal(CHAT, chat({ messages: [{ role: "user", content: " " }] }))).toMatchObject({
      status: 400,
      code: "empty_prompt",
      param: "messages",
    });
    for (const history of [
      [{ role: "system", content: "You are brief." }],
      [
        { role: "user", content: LIAR },
        { role: "assistant", content: "Yes" },
      ],
    ])
      for (const content of ["", " \n", [{ type: "text", text: "" }]])
        expect(await refusal(CHAT, chat({ messages: [...history, { role: "user", content }] }))).toMatchObject({
          status: 400,
          code: "empty_prompt",
          param: "messages",
        });
    for (const prompt of ["", [""], []])
      expect(await refusal(TEXT, { model: MODEL, prompt })).toMatchObject({ status: 400, code: "empty_prompt", param: "prompt" });
  });

  it("that is longer than the context is refused, with both lengths", async () => {
    const long = LIAR.repeat(nano.config.contextLength / 8);
    const asChat = await refusal(CHAT, chat({ messages: [{ role: "user", content: long }] }));
    expect(asChat).toMatchObject({ status: 400, code: "context_length_exceeded", param: "messages" });
    expect(asChat.message).toContain(String(nano.config.contextLength));
    expect(await refusal(TEXT, { model: MODEL, prompt: long, stream: true })).toMatchObject({
      status: 400,
      code: "context_length_exceeded",
      param: "prompt",
    });
  });

  it("that leaves no room for the tokens asked for is refused, with the number that would fit", async () => {
    const asked = await refusal(TEXT, { model: MODEL, prompt: LIAR, max_tokens: nano.config.contextLength });
    const fits = nano.config.contextLength - nano.text.encode(LIAR).length + 1;
    expect(asked).toMatchObject({ status: 400, code: "context_length_exceeded", param: "max_completion_tokens" });
    expect(asked.message).toContain(`at most ${fits} tokens`);
  });

  it("of token ids outside the vocabulary is refused", async () => {
    expect(await refusal(TEXT, { model: MODEL, prompt: [1, nano.config.vocabSize] })).toMatchObject({
      status: 400,
      code: "token_out_of_range",
      param: "prompt",
    });
    for (const prompt of [[-1], [1.5], [["a", "b"]], ["a", "b"], 7, null])
      expect(await refusal(TEXT, { model: MODEL, prompt })).toMatchObject({ status: 400, param: "prompt" });
  });
});

describe("budget.iterations", () => {
  it.each([0, -1, 1e9, "many", 1.5, true, [4]])("of %j is refused, with the range", async (iterations) => {
    const error = await refusal(CHAT, chat({ budget: { iterations } }));
    expect(error).toMatchObject({ status: 400, type: "invalid_request_error", param: "budget.iterations" });
    expect(error.message).toContain(`from 1 to ${nano.card.maxIterations}`);
  });
});

describe("budget", () => {
  it.each(["iterations=many", "latency-ms", "patience=3", "latency-ms=5 ms"])("as a header %j is refused", async (header) => {
    const response = await call(`https://fathom.test${CHAT}`, {
      method: "POST",
      headers: { "X-Budget": header, "content-type": "application/json" },
      body: JSON.stringify(chat()),
    });
    expect(response.status).toBe(400);
    expect(((await response.json()) as ErrorBody).error).toMatchObject({ code: "invalid_value", param: "X-Budget" });
  });

  it.each([
    ["iterations=99999", "a whole number from 1 to {max}"],
    ["exit=latent-diff;min-iterations=3.7", "a whole number from 0 to {max}"],
    ["exit=latent-diff;min-iterations=99999", "a whole number from 0 to {max}"],
    ["total-iterations=0", "a whole number from 1 to"],
    ["latency-ms=0", "a finite number above 0"],
    ["on-exhausted=panic", "one of degrade, truncate, error"],
  ])("as a header is held to the rules of the body: %s", async (header, expected) => {
    const response = await call(`https://fathom.test${CHAT}`, {
      method: "POST",
      headers: { ...JSON_TYPE, "X-Budget": header },
      body: JSON.stringify(chat()),
    });
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as ErrorBody;
    expect(error).toMatchObject({ code: "invalid_value", param: "X-Budget" });
    expect(error.message).toContain(expected.replace("{max}", String(nano.card.maxIterations)));
  });

  it.each([
    [{ latency_ms: 0.01 }, "budget.latency_ms", "latency_ms"],
    [{ cost_usd: 1e-9 }, "budget.cost_usd", "cost_usd"],
    [{ total_iterations: 1, exit: { min_iterations: 4 } }, "budget.total_iterations", "total_iterations"],
  ])("%j is 422 before any work, with the least that would do", async (budget, param, field) => {
    const response = await post(call, CHAT, chat({ budget }));
    expect(response.status).toBe(422);
    expect(response.headers.get("x-should-retry")).toBe("false");
    const { error } = (await response.json()) as { error: ErrorBody["error"] & { minimum: Record<string, number> } };
    expect(error).toMatchObject({ type: "invalid_request_error", code: "budget_infeasible", param });
    expect(error.minimum[field]).toBeGreaterThan(0);
    expect(error.message).toContain(field);
  });

  it.each([
    [{ latency_ms: -5 }, "budget.latency_ms"],
    [{ on_exhausted: "panic" }, "budget.on_exhausted"],
    [{ iteration: 4 }, "budget.iteration"],
    [{ exit: [] }, "budget.exit"],
    [{ exit: { criterion: "boredom" } }, "budget.exit.criterion"],
    [{ exit: { threshold: -0.1 } }, "budget.exit.threshold"],
    [{ exit: { threshold: "low" } }, "budget.exit.threshold"],
    [{ exit: { min_iterations: -1 } }, "budget.exit.min_iterations"],
    [{ exit: { treshold: 0.1 } }, "budget.exit.treshold"],
    [{ exit: "latent-diff" }, "budget.exit"],
    ["16", "budget"],
    [[16], "budget"],
  ])("%j is refused where it is wrong", async (budget, param) => {
    expect(await refusal(CHAT, chat({ budget }))).toMatchObject({ status: 400, param });
  });
});

describe("a body", () => {
  it("of 10 MB is refused with 413", async () => {
    const error = await refusal(CHAT, chat({ messages: [{ role: "user", content: "a".repeat(10_000_000) }] }));
    expect(error).toMatchObject({ status: 413, type: "invalid_request_error", code: "request_too_large" });
  });

  it("that grows beyond the limit without having said its length is refused, too", async () => {
    let sent = 0;
    const endlessBody = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1 << 16;
        if (sent > 1e8) controller.close();
        else controller.enqueue(new Uint8Array(1 << 16).fill(32));
      },
    });
    const response = await call(`https://fathom.test${CHAT}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: endlessBody,
    });
    expect(response.status).toBe(413);
    expect(sent).toBeLessThan(2e6);
  });

  it.each(["", "{", "{'model': 1}", "hello"])("that is not JSON is refused: %j", async (body) => {
    expect(await refusal(CHAT, body)).toMatchObject({ status: 400, code: "invalid_json" });
  });

  it.each([65, 5000, 100_000, 400_000])("nested %d deep is refused, wherever it is nested", async (depth) => {
    const [open, close] = ["[".repeat(depth), "]".repeat(depth)];
    for (const field of ["messages", "tools", "budget", "stop", "metadata", "anything"]) {
      const error = await refusal(CHAT, `{"model": "${MODEL}", "${field}": ${open}${close}}`);
      expect(error, field).toMatchObject({ status: 400, code: "nested_too_deep" });
    }
    expect(await refusal(TEXT, `${open}${close}`)).toMatchObject({ status: 400, code: "nested_too_deep" });
  });

  it("that is compressed is refused by its encoding, not by its bytes", async () => {
    const body = await new Response(new Blob([JSON.stringify(chat())]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
    const response = await call(`https://fathom.test${CHAT}`, {
      method: "POST",
      headers: { ...JSON_TYPE, "content-encoding": "GZIP" },
      body,
    });
    expect(response.status).toBe(415);
    expect(response.headers.get("accept-encoding")).toBe("identity");
    expect(((await response.json()) as ErrorBody).error).toMatchObject({
      code: "unsupported_encoding",
      message: expect.stringContaining("gzip"),
    });
  });

  it("whose encoding is identity is read", async () => {
    const init = { method: "POST", headers: { ...JSON_TYPE, "content-encoding": "identity" }, body: "{" };
    expect(((await (await call(`https://fathom.test${CHAT}`, init)).json()) as ErrorBody).error.code).toBe("invalid_json");
  });

  it.each([
    ["gzip without saying so", new Uint8Array([31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 0, 200])],
    ["Latin-1", new Uint8Array([34, 0xe9, 34])],
    ["control characters", new TextEncoder().encode('{"a": \u001b[31m\u202e}')],
  ])("of %s is refused in printable words", async (_, body) => {
    const response = await call(`https://fathom.test${CHAT}`, { method: "POST", headers: JSON_TYPE, body });
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as ErrorBody;
    expect(error.code).toBe("invalid_json");
    expect(error.message).not.toMatch(/[\p{C}\uFFFD]/u);
  });

  it.each(["null", "[]", "7", '"text"'])("that is no object is refused: %s", async (body) => {
    expect(await refusal(CHAT, body)).toMatchObject({ status: 400, code: "invalid_type" });
  });

  it.each([
    [{ model: 7 }, "model"],
    [{ model: undefined }, "model"],
    [{ messages: undefined }, "messages"],
    [{ messages: "hello" }, "messages"],
    [{ messages: [7] }, "messages.0"],
    [{ messages: [{ role: "user" }] }, "messages.0.content"],
    [{ messages: [{ role: "user", content: 7 }] }, "messages.0.content"],
    [{ messages: [{ role: "robot", content: "a" }] }, "messages.0.role"],
    [{ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "a" } }] }] }, "messages.0.content"],
    [{ messages: [{ role: "assistant", content: "a", tool_calls: [{}] }] }, "messages.0.tool_calls"],
    [{ max_tokens: 0 }, "max_tokens"],
    [{ max_completion_tokens: 1.5 }, "max_completion_tokens"],
    [{ temperature: 3 }, "temperature"],
    [{ temperature: "hot" }, "temperature"],
    [{ top_p: -1 }, "top_p"],
    [{ seed: "a" }, "seed"],
    [{ stop: 7 }, "stop"],
    [{ stop: ["a", "b", "c", "d", "e"] }, "stop"],
    [{ stream: "yes" }, "stream"],
    [{ stream_options: { include_usage: true } }, "stream_options"],
    [{ reasoning_effort: "huge" }, "reasoning_effort"],
  ])("with a wrong type or value is refused: %j", async (body, param) => {
    const error = await refusal(CHAT, chat(body));
    expect(error).toMatchObject({ status: 400, type: "invalid_request_error", param });
    expect(error.message).toContain(param);
    expect(error.message).not.toMatch(/Expected|Infinity|[e+]308/);
  });

  it.each([
    [{ best_of: 2 }, "best_of"],
    [{ tools: [{ type: "function", function: { name: "f" } }] }, "tools"],
    [{ response_format: { type: "json_object" } }, "response_format"],
    [{ logprobs: true }, "logprobs"],
    [{ logit_bias: { 5: 100 } }, "logit_bias"],
    [{ frequency_penalty: 1 }, "frequency_penalty"],
    [{ top_k: 40 }, "top_k"],
    [{ min_p: 0.05 }, "min_p"],
    [{ repetition_penalty: 1.1 }, "repetition_penalty"],
    [{ ignore_eos: true }, "ignore_eos"],
    [{ chat_template_kwargs: { enable_thinking: false } }, "chat_template_kwargs"],
  ])("with a parameter that would change the answer is refused: %j", async (body, param) => {
    expect(await refusal(CHAT, chat(body))).toMatchObject({ status: 400, code: "unsupported_parameter", param });
  });

  it.each([
    [{ seed: 2 ** 60 }, "seed", String(Number.MAX_SAFE_INTEGER)],
    [{ seed: -(2 ** 60) }, "seed", String(Number.MIN_SAFE_INTEGER)],
    [{ max_tokens: 1e300 }, "max_completion_tokens", String(nano.config.contextLength)],
    [{ max_completion_tokens: 2 ** 53 }, "max_completion_tokens", String(nano.config.contextLength)],
    [{ temperature: 1e300 }, "temperature", "from 0 to 2"],
    [{ budget: { total_iterations: 1e300 } }, "budget.total_iterations", String(Number.MAX_SAFE_INTEGER)],
  ])("with a number beyond a bound is told that bound: %j", async (body, param, bound) => {
    const error = await refusal(CHAT, chat(body));
    expect(error).toMatchObject({ status: 400, param });
    expect(error.message).toContain(bound);
  });

  it.each([
    '{"temperature": 1e999}',
    '{"max_tokens": 1e999}',
    '{"budget": {"latency_ms": 1e999}}',
    '{"budget": {"exit": {"threshold": 1e999}}}',
  ])("with a number that no computer holds is refused: %s", async (text) => {
    const body = JSON.stringify(chat()).replace("{", `${text.slice(0, -1)},`);
    expect(await refusal(CHAT, body)).toMatchObject({ status: 400, message: expect.stringContaining("not Infinity") });
  });

  it.each([
    [{ name: "Ada" }, "unsupported_parameter", "name"],
    [{ tool_calls: [{}] }, "unsupported_parameter", "tool_calls"],
    [{ tool_call_id: "a" }, "unsupported_parameter", "tool_call_id"],
    [{ function_call: { name: "f" } }, "unsupported_parameter", "function_call"],
    [{ refusal: "no" }, "unsupported_parameter", "refusal"],
    [{ audio: { id: "a" } }, "unsupported_parameter", "audio"],
    [{ contnet: "a" }, "unknown_parameter", "contnet"],
  ])("with a message's field that would change the answer is refused, new or old: %j", async (field, code, name) => {
    const messages = [{ role: "user", content: LIAR, ...field }];
    expect(await refusal(CHAT, chat({ messages }))).toMatchObject({ status: 400, code, param: `messages.0.${name}` });
  });

  it("with unknown fields in parts and stream_options is refused", async () => {
    const messages = [{ role: "user", content: [{ type: "text", text: "a", colour: 7 }] }];
    expect(await refusal(CHAT, chat({ messages }))).toMatchObject({ code: "unknown_parameter", param: "messages.0.content.0.colour" });
    const wrong = { stream: true, stream_options: { include_usages: true } };
    expect(await refusal(CHAT, chat(wrong))).toMatchObject({ code: "unknown_parameter", param: "stream_options.include_usages" });
  });

  it("of any content gets messages that are short and printable", async () => {
    const dirty = `\u001b[31m\u202e\u0000\ud800${"x".repeat(100_000)}`;
    for (const body of [
      { [dirty]: 1 },
      { model: dirty },
      { stop: [dirty, 7] },
      { seed: dirty },
      { seed: { [dirty]: dirty } },
      { budget: { [dirty]: 1 } },
      { budget: { exit: { [dirty]: 1 } } },
      { budget: { on_exhausted: dirty } },
      { messages: [{ role: dirty, content: "a" }] },
      { messages: [{ role: "user", content: "a", [dirty]: 1 }] },
      { n: dirty },
    ]) {
      const { status, message, param } = await refusal(CHAT, chat(body));
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
      expect(`${message}${param}`.length).toBeLessThan(500);
      expect(`${message}${param}`).not.toMatch(/\p{C}/u);
    }
    const path = await call(`https://fathom.test/v1/${"%1b".repeat(2000)}`);
    expect((await path.text()).length).toBeLessThan(700);
  });

  it("with a misspelt parameter is refused, rather than answered as if it were not there", async () => {
    expect(await refusal(CHAT, chat({ max_token: 5 }))).toMatchObject({ status: 400, code: "unknown_parameter", param: "max_token" });
    expect(await refusal(CHAT, chat({ constructor: 5 }))).toMatchObject({ status: 400, code: "unknown_parameter", param: "constructor" });
  });
});

describe("a model", () => {
  it.each(["gpt-4o", "", "__proto__", "constructor", "../nano"])("that is not there is 404: %j", async (model) => {
    const error = await refusal(CHAT, chat({ model }));
    expect(error).toMatchObject({ status: 404, type: "invalid_request_error", code: "model_not_found", param: "model" });
    expect(error.message).toContain(MODEL);
  });
});

describe("the OpenAI SDK", () => {
  it("does not try an infeasible budget again", async () => {
    const failing = vi.fn(call);
    const body = { model: MODEL, messages: [{ role: "user" as const, content: LIAR }], budget: { latency_ms: 0.01 } };
    const error = await openai(failing)
      .chat.completions.create(body, { maxRetries: 2 })
      .catch((e: unknown) => e as APIError);
    expect(error).toMatchObject({ status: 422, code: "budget_infeasible", param: "budget.latency_ms" });
    expect(failing).toHaveBeenCalledTimes(1);
  });

  it("sees code, parameter and request id, and does not try again", async () => {
    const failing = vi.fn(call);
    const client = openai(failing);
    const error = await client.chat.completions
      .create({ model: "gpt-4o", messages: [{ role: "user", content: LIAR }] }, { maxRetries: 2 })
      .catch((e: unknown) => e as APIError);
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ status: 404, code: "model_not_found", param: "model", requestID: expect.any(String) });
    expect(failing).toHaveBeenCalledTimes(1);
  });
});
