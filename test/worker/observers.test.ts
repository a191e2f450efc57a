/**
 * Observers of completions are told and never felt: whatever they do, the answer is the one without them, and the log
 * and /health say that they failed.
 */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { createApp, type AppOptions } from "../../worker/app.ts";
import { createEntrypoint } from "../../worker/rpc.ts";
import type { CompletionEvent } from "../../worker/service.ts";
import { writeDataPoint } from "../../worker/telemetry.ts";
import { app, chat, events, LIAR, MODEL, nano, post, SERVER } from "./support.ts";

const CHAT = "/v1/chat/completions";
type Observer = NonNullable<AppOptions<object>["onCompletion"]>;

const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
beforeEach(() => log.mockClear());
afterAll(() => log.mockRestore());

const boom = new Error("the pipe is full");
const failing: readonly [string, Observer][] = [
  ["throws", () => { throw boom; }],
  ["rejects", () => Promise.reject(boom)],
  ["gives what throws when it is looked at", () => new Proxy({}, { get() { throw boom; } })],
  ["is an Analytics binding that throws", (event) => writeDataPoint({ writeDataPoint: () => { throw boom; } }, event)],
]; // prettier-ignore

const plain = (await (await post(app(), CHAT, chat())).json()) as any;
const streamed = chat({ stream: true, stream_options: { include_usage: true } });

describe.each(failing)("an observer that %s", (_what, onCompletion) => {
  it("changes no answer, and the log and /health tell of it", async () => {
    const call = app({ onCompletion });
    const response = await post(call, CHAT, chat());
    expect(response.status).toBe(200);
    expect(((await response.json()) as any).choices).toEqual(plain.choices);
    await vi.waitFor(() => expect(log).toHaveBeenCalledOnce());
    expect(log.mock.calls[0]).toEqual([expect.stringContaining("onCompletion"), boom]);
    expect(await (await call(`${SERVER}/health`)).json()).toMatchObject({ status: "ok", callback_failures: { onCompletion: 1 } });
  });

  it("ends no stream before its usage", async () => {
    const data = await events(await post(app({ onCompletion }), CHAT, streamed));
    expect(data.at(-1)).toBe("[DONE]");
    expect(JSON.parse(data.at(-2)!).usage.completion_tokens).toBe(plain.usage.completion_tokens);
  });

  it("changes nothing over a binding", async () => {
    const context = createExecutionContext();
    const entrypoint = new (createEntrypoint({ model: nano, onCompletion }))(context, env as never);
    const inputs = { messages: [{ role: "user", content: LIAR }] };
    expect(await entrypoint.run(MODEL, inputs)).toMatchObject({ response: plain.choices[0].message.content });
    const stream = (await entrypoint.run(MODEL, { ...inputs, stream: true })) as ReadableStream<Uint8Array>;
    expect(await new Response(stream).text()).toContain("[DONE]");
    await waitOnExecutionContext(context);
    expect(log).toHaveBeenCalledTimes(2);
  });
});

describe("an observer", () => {
  it("that never settles holds no answer", async () => {
    const call = app({ onCompletion: () => new Promise(() => undefined) });
    expect((await post(call, CHAT, chat())).status).toBe(200);
    expect((await events(await post(call, CHAT, streamed))).at(-1)).toBe("[DONE]");
    expect(log).not.toHaveBeenCalled();
  });

  it("is given time by the host to finish, after the answer", async () => {
    const context = createExecutionContext();
    let hasFinished = false;
    const onCompletion = async () => {
      await scheduler.wait(20);
      hasFinished = true;
    };
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(chat()) };
    const response = await createApp({ model: nano, onCompletion }).request(`${SERVER}${CHAT}`, init, env, context);
    expect(response.status).toBe(200);
    expect(hasFinished).toBe(false);
    await waitOnExecutionContext(context);
    expect(hasFinished).toBe(true);
  });

  it("has a copy of the report: what it writes there is nobody's answer", async () => {
    const onCompletion: Observer = (event) => {
      const { report } = event as any;
      report.completionTokens = 1e9;
      report.spending.units = 0;
      delete report.grant.budget;
    };
    const { usage } = (await (await post(app({ onCompletion }), CHAT, chat())).json()) as any;
    expect(usage).toEqual(plain.usage);
  });

  it("is told once of every completion, streamed or not", async () => {
    const seen: CompletionEvent[] = [];
    const call = app({ onCompletion: (event) => seen.push(event) });
    await post(call, CHAT, chat());
    await events(await post(call, CHAT, streamed));
    expect(seen.map((event) => event.report.completionTokens)).toEqual([plain.usage.completion_tokens, plain.usage.completion_tokens]);
  });

  it("that fails is no answer's failure even where the console fails, too", async () => {
    log.mockImplementationOnce(() => { throw boom; }); // prettier-ignore
    expect((await post(app({ onCompletion: () => { throw boom; } }), CHAT, chat())).status).toBe(200); // prettier-ignore
  });
});
