/**
 * Liveness and readiness, and what requests are told while a model is loaded or cannot be.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import { FathomError } from "../../engine/errors.ts";
import type { Model } from "../../engine/port/model.ts";
import type { Fault } from "../../worker/faults.ts";
import { once } from "../../worker/model-source.ts";
import { app, chat, MODEL, nano, openai, post, SERVER, type Call } from "./support.ts";

const CHAT = "/v1/chat/completions";
const json = async (response: Response): Promise<any> => response.json();
const broken = (): Promise<Model> => Promise.reject(new FathomError("invalid_checkpoint", "secret/model.safetensors: damaged."));

/** A load that ends when the test says so. */
function held(): { load: ReturnType<typeof vi.fn<() => Promise<Model>>>; release: () => void } {
  const { promise, resolve } = Promise.withResolvers<Model>();
  return { load: vi.fn(() => promise), release: () => resolve(nano) };
}

async function ready(call: Call): Promise<{ status: number; retryAfter: string | null; body: any }> {
  const response = await call(`${SERVER}/ready`);
  return { status: response.status, retryAfter: response.headers.get("retry-after"), body: await json(response) };
}

const READY = {
  id: MODEL,
  status: "ready",
  backend: "wasm",
  memory: { used_bytes: expect.any(Number), peak_bytes: expect.any(Number), limit_bytes: expect.any(Number) },
};

afterEach(() => vi.restoreAllMocks());

describe("/health", () => {
  it("answers at once, whatever the models do, and starts nothing", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { load, release } = held();
    const call = app({ model: once(load), models: { whole: nano, broken: once(broken) } });
    const health = async (): Promise<any> => {
      const response = await call(`${SERVER}/health`);
      expect(response.status).toBe(200);
      return json(response);
    };
    expect(await health()).toEqual({
      status: "ok",
      models: [
        { id: null, status: "not_loaded" },
        { ...READY, id: "whole" },
        { id: "broken", status: "not_loaded" },
      ],
    });
    expect(load).not.toHaveBeenCalled();
    const answer = post(call, CHAT, chat());
    await post(call, CHAT, chat({ model: "broken" }));
    const during = await health();
    expect(during.models.map((m: any) => m.status)).toEqual(["loading", "ready", "failed"]);
    expect(during.models[2]).toEqual({ id: "broken", status: "failed", failures: 1, retry_after_s: 30 });
    expect(JSON.stringify(during)).not.toContain("secret");
    release();
    expect((await answer).status).toBe(200);
    expect((await health()).models[0]).toEqual(READY);
  });
});

describe("/ready", () => {
  it("begins the load, says 503 with Retry-After until it is done, then 200", async () => {
    const { load, release } = held();
    const call = app({ model: once(load) });
    for (let i = 0; i < 2; i++)
      expect(await ready(call)).toEqual({
        status: 503,
        retryAfter: "1",
        body: { status: "loading", models: [{ id: null, status: "loading" }] },
      });
    expect(load).toHaveBeenCalledOnce();
    release();
    await vi.waitFor(async () =>
      expect(await ready(call)).toEqual({ status: 200, retryAfter: null, body: { status: "ready", models: [READY] } }),
    );
  });

  it("says when a failed load is tried again; the cause is told once, to the deployment", async () => {
    const faults: Fault[] = [];
    const call = app({ model: once(broken), onError: (fault) => void faults.push(fault) });
    await ready(call);
    await vi.waitFor(() => expect(faults).toHaveLength(1));
    const { status, retryAfter, body } = await ready(call);
    expect([status, retryAfter, body.status]).toEqual([503, "30", "failed"]);
    expect(JSON.stringify(body)).not.toContain("secret");
    await post(call, CHAT, chat());
    expect(faults).toMatchObject([{ code: "model_unavailable", error: { code: "invalid_checkpoint" } }]);
  });

  it("is asked without a key", async () => {
    expect((await ready(app({ apiKeys: ["k"] }))).status).toBe(200);
  });
});

describe("a request while the model is loaded", () => {
  it.each([
    ["its body", chat({ budget: { latency_ms: 60 } }), {}],
    ["its header", chat(), { "X-Budget": "latency-ms=60" }],
  ])("is refused within the time of %s, and the load goes on", async (_, body, headers) => {
    const { load, release } = held();
    const call = app({ model: once(load) });
    const startedMs = performance.now();
    const init = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } };
    const response = await call(`${SERVER}${CHAT}`, init);
    expect(performance.now() - startedMs).toBeLessThan(500);
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await json(response)).toMatchObject({ error: { type: "server_error", code: "model_loading" } });
    release();
    expect((await post(call, CHAT, chat())).status).toBe(200);
    expect(load).toHaveBeenCalledOnce();
  });

  it("without a deadline waits and is answered", async () => {
    const { load, release } = held();
    const answer = post(app({ model: once(load) }), CHAT, chat());
    setTimeout(release, 30);
    expect((await answer).status).toBe(200);
  });

  it("pays for the wait out of its own time", async () => {
    const { load, release } = held();
    const answer = post(app({ model: once(load) }), CHAT, chat({ budget: { latency_ms: 5000 } }));
    setTimeout(release, 60);
    const { budget } = await json(await answer);
    expect(budget.latency_ms).toBeGreaterThanOrEqual(50);
  });
});

describe("a model that cannot be loaded", () => {
  it("is 503 for every caller, and read once however many ask", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const load = vi.fn(broken);
    const call = app({ model: once(load) });
    for (const request of [1, 2, 3]) {
      const response = await post(call, CHAT, chat());
      expect(response.status, `request ${request}`).toBe(503);
      expect(response.headers.get("retry-after")).toBe("30");
      const body = await response.text();
      expect(body).not.toContain("secret");
      expect(JSON.parse(body).error).toMatchObject({ type: "server_error", code: "model_unavailable" });
    }
    expect(load).toHaveBeenCalledOnce();
    expect(log).toHaveBeenCalledOnce();
  });

  it.each(["invalid_request", "context_overflow", "out_of_memory"] as const)(
    "is nobody's mistake but the deployment's, whatever the load throws: %s",
    async (code) => {
      const onError = vi.fn();
      const error = new FathomError(code, "secret: group 48");
      for (const model of [once(() => Promise.reject(error)), () => Promise.reject(error)]) {
        const response = await post(app({ model, onError }), CHAT, chat());
        expect(response.status).toBe(503);
        expect(await response.text()).not.toContain("secret");
      }
      expect(onError.mock.calls.map(([fault]) => fault.error)).toEqual([error, error]);
    },
  );

  it("does not hide the others", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const call = app({ models: { broken: once(broken) } });
    expect((await openai(call).models.list()).data.map((m) => m.id)).toEqual([MODEL]);
    expect((await post(call, CHAT, chat())).status).toBe(200);
    expect((await post(call, CHAT, chat({ model: "broken" }))).status).toBe(503);
  });
});
