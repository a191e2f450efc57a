/**
 * Who is blamed: what is the model's or the server's own fault is never told to the caller as its mistake, and its cause
 * reaches the deployment, once.
 */
import { createExecutionContext } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { FathomError, type FathomErrorCode } from "../../engine/errors.ts";
import type { Fault } from "../../worker/faults.ts";
import { createEntrypoint } from "../../worker/rpc.ts";
import { app, chat, LIAR, MODEL, nano, post } from "./support.ts";

const CHAT = "/v1/chat/completions";

function failing(error: unknown): typeof nano {
  const { steps: _bypassesTheTemplate, ...codec } = nano.text;
  const encodeChat = (): never => {
    throw error;
  };
  return { ...nano, text: { ...codec, encodeChat } };
}

afterEach(() => vi.restoreAllMocks());

describe("a fault of the model's files that a request meets", () => {
  const codes: FathomErrorCode[] = [
    "invalid_checkpoint",
    "invalid_config",
    "invalid_card",
    "invalid_tokenizer",
    "invalid_template",
    "missing_cache",
  ];

  it.each(codes)("is a 500 with one public sentence, and the cause is told: %s", async (code) => {
    const cause = new Error("secret: line 7");
    const error = new FathomError(code, "secret: the file", "secret.json", { cause });
    const faults: Fault[] = [];
    const response = await post(app({ model: failing(error), onError: (fault) => void faults.push(fault) }), CHAT, chat());
    expect(response.status).toBe(500);
    expect(response.headers.get("x-should-retry")).toBe("false");
    const body = await response.text();
    expect(body).not.toContain("secret");
    expect(JSON.parse(body).error).toMatchObject({ type: "server_error", code: "model_error", param: null });
    expect(faults).toEqual([{ error, code: "model_error", requestId: response.headers.get("x-request-id") }]);
    expect((faults[0]!.error as Error).cause).toBe(cause);
  });

  it("goes to the log where nobody else is told, once however many requests meet it", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const error = new FathomError("invalid_template", "no");
    const call = app({ model: failing(error) });
    for (let i = 0; i < 3; i++) expect((await post(call, CHAT, chat())).status).toBe(500);
    expect(log).toHaveBeenCalledOnce();
    expect(log.mock.calls[0]).toContain(error);
  });

  it("is told in the same words over a service binding, without the cause", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const Entrypoint = createEntrypoint({ model: failing(new FathomError("invalid_template", "secret")) });
    const refused = await new Entrypoint(createExecutionContext(), {})
      .run(MODEL, { messages: [{ role: "user", content: LIAR }] })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ status: 500, code: "model_error" });
    expect(refused).not.toHaveProperty("cause");
  });
});

describe("a caller's own mistake", () => {
  it("is told to the caller and to nobody else", async () => {
    const onError = vi.fn();
    const error = new FathomError("invalid_request", "Roles must alternate.", "messages");
    const response = await post(app({ model: failing(error), onError }), CHAT, chat());
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { message: "Roles must alternate.", param: "messages" } });
    expect((await post(app({ onError }), CHAT, "{")).status).toBe(400);
    expect(onError).not.toHaveBeenCalled();
  });
});

describe("an onError that fails itself", () => {
  it.each([
    () => {
      throw new Error("the logger is down");
    },
    () => Promise.reject(new Error("the logger is down")),
    () => new Promise(() => undefined),
  ])("changes nothing for the caller: %s", async (onError) => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const response = await post(app({ model: failing(new Error("no")), onError }), CHAT, chat());
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ error: { code: "internal_error" } });
  });
});
