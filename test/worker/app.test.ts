/**
 * The app around the completions: models, unknown paths, keys, origins, and living inside another app.
 */
import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { createApp } from "../../worker/app.ts";
import { app, chat, MODEL, nano, openai, post, SERVER, worker } from "./support.ts";

const json = async (response: Response): Promise<any> => response.json();

describe("/v1/models", () => {
  it("lists the models, as the SDK reads them", async () => {
    const { data } = await openai(worker).models.list();
    expect(data.map((m) => m.id)).toEqual([MODEL]);
  });

  it("gives a card with what is needed to choose a budget", async () => {
    const { card, config } = nano;
    const details = (await openai(worker).models.retrieve(MODEL)) as unknown as Record<string, unknown>;
    expect(details).toMatchObject({
      id: MODEL,
      object: "model",
      owned_by: "fathom",
      context_length: config.contextLength,
      iterations: { default: card.iterations, max: card.maxIterations, mean_recurrence: config.meanRecurrence },
      effort: card.effort,
      exit: { criterion: card.exit.criterion, threshold: card.exit.threshold, min_iterations: card.exit.minIterations },
      cache: card.cache,
    });
    expect(details["quality"]).toHaveLength(card.quality.length);
  });

  it("shows the deployment's ceilings, not the card's", async () => {
    const details = await json(await app({ limits: { maxIterations: 2, maxCompletionTokens: 9 } })(`${SERVER}/v1/models/${MODEL}`));
    expect(details).toMatchObject({ iterations: { default: 2, max: 2 }, effort: { none: 1, max: 2 }, max_completion_tokens: { max: 9 } });
  });

  it("is 404 for a model that is not there", async () => {
    const response = await worker(`${SERVER}/v1/models/gpt-4o`);
    expect(response.status).toBe(404);
    expect((await json(response)).error).toMatchObject({ code: "model_not_found", param: "model" });
  });

  it("serves several models by the names they are given", async () => {
    const call = app({ model: undefined, models: { small: nano, lazy: async () => nano } });
    const list = await json(await call(`${SERVER}/v1/models`));
    expect(list.data.map((m: { id: string }) => m.id)).toEqual(["small", "lazy"]);
    for (const model of ["small", "lazy"])
      expect(await json(await post(call, "/v1/chat/completions", chat({ model })))).toMatchObject({ model });
    expect((await post(call, "/v1/chat/completions", chat())).status).toBe(404);
  });
});

describe("a path or method that is not there", () => {
  it("answers / with the page to try it", async () => {
    const response = await worker(`${SERVER}/`);
    expect([response.status, response.headers.get("content-type")]).toEqual([200, expect.stringMatching(/^text\/html/)]);
    const html = await response.text();
    for (const part of ["<main>", 'aria-live="polite"', 'type="range"', "/v1/chat/completions"]) expect(html).toContain(part);
  });

  it.each(["/v1", "/v1/images/generations", `/${MODEL}/model.safetensors`])("gets a 404 in OpenAI's shape: %s", async (path) => {
    const response = await worker(SERVER + path);
    expect(response.status).toBe(404);
    expect(response.headers.get("x-request-id")).toBeTruthy();
    expect((await json(response)).error).toMatchObject({ type: "invalid_request_error", code: "unknown_url", param: null });
  });

  it("gets a 405 that names the methods", async () => {
    const response = await worker(`${SERVER}/v1/chat/completions`);
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST");
    expect((await json(response)).error).toMatchObject({ code: "method_not_allowed" });
    expect((await post(worker, "/v1/models", {})).headers.get("allow")).toContain("GET");
  });
});

describe("keys", () => {
  const call = app({ apiKeys: ["first-key", "second-key"] });
  const ask = (key: string) => openai(call, key).chat.completions.create({ model: MODEL, messages: [{ role: "user", content: "a" }] });

  it("open the API, each of them", async () => {
    expect((await ask("first-key")).object).toBe("chat.completion");
    expect((await ask("second-key")).object).toBe("chat.completion");
  });

  it("that are wrong, missing or malformed get 401", async () => {
    await expect(ask("third-key")).rejects.toMatchObject({ status: 401, code: "invalid_api_key", requestID: expect.any(String) });
    for (const authorization of ["", "Basic YTpi", "Bearer", "Bearer a b"]) {
      const response = await call(`${SERVER}/v1/models`, { headers: { authorization } });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/);
      expect((await json(response)).error.code).toBe("invalid_api_key");
    }
  });

  it("may be known by a function alone", async () => {
    const asked = app({ apiKeys: async (key) => key.startsWith("sk-") });
    expect((await asked(`${SERVER}/v1/models`, { headers: { authorization: "Bearer sk-1" } })).status).toBe(200);
    expect((await asked(`${SERVER}/v1/models`, { headers: { authorization: "Bearer pk-1" } })).status).toBe(401);
  });

  it("are not asked for by /health", async () => {
    expect((await call(`${SERVER}/health`)).status).toBe(200);
  });
});

describe("other origins", () => {
  const preflight = { method: "OPTIONS", headers: { origin: "https://shop.test", "access-control-request-method": "POST" } };

  it("may not call by default", async () => {
    expect((await worker(`${SERVER}/v1/chat/completions`, preflight)).headers.has("access-control-allow-origin")).toBe(false);
  });

  it("may where cors allows it, before any key is asked for", async () => {
    const call = app({ cors: { origin: "https://shop.test" }, apiKeys: ["key"] });
    const response = await call(`${SERVER}/v1/chat/completions`, preflight);
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-origin")).toBe("https://shop.test");
  });
});

describe("a request id", () => {
  it("is the caller's own, or a new one", async () => {
    expect((await worker(`${SERVER}/health`, { headers: { "x-request-id": "mine-1" } })).headers.get("x-request-id")).toBe("mine-1");
    expect((await worker(`${SERVER}/health`)).headers.get("x-request-id")).toMatch(/^[\w-]{36}$/);
  });
});

describe("inside another app", () => {
  const outer = new Hono().route("/ai", createApp({ model: nano, apiKeys: ["key"] })).get("/hello", (c) => c.text("hello"));
  const authorized = { headers: { authorization: "Bearer key", "content-type": "application/json" } };

  it("answers under its path", async () => {
    const response = await outer.request("/ai/v1/chat/completions", { method: "POST", body: JSON.stringify(chat()), ...authorized });
    expect(response.status).toBe(200);
    expect((await outer.request("/ai/health")).status).toBe(200);
  });

  it("keeps its errors in OpenAI's shape", async () => {
    expect((await json(await outer.request("/ai/v1/nothing", authorized))).error.code).toBe("unknown_url");
    const wrongMethod = await outer.request("/ai/v1/chat/completions", authorized);
    expect(wrongMethod.status).toBe(405);
    expect((await json(wrongMethod)).error.code).toBe("method_not_allowed");
    const bad = await outer.request("/ai/v1/completions", { method: "POST", body: "{", ...authorized });
    expect((await json(bad)).error.code).toBe("invalid_json");
    expect((await json(await outer.request("/ai/v1/models"))).error.code).toBe("invalid_api_key");
  });

  it("names its own paths in a 404", async () => {
    const { error } = await json(await outer.request("/ai/v1/nothing", authorized));
    expect(error.message).toBe(
      "There is nothing at /ai/v1/nothing; see /ai/v1/models, /ai/v1/chat/completions, /ai/v1/completions, /ai/v1/embeddings, /ai/v1/decisions, /ai/v1/systemone, /ai/health and /ai/ready.",
    );
    const alone = await json(await app()(`${SERVER}/nothing`));
    expect(alone.error.message).toBe(
      "There is nothing at /nothing; see /v1/models, /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/decisions, /v1/systemone, /health and /ready.",
    );
  });

  it("leaves the other app's routes alone", async () => {
    const response = await outer.request("/hello");
    expect(await response.text()).toBe("hello");
    expect(response.headers.has("x-request-id")).toBe(false);
  });
});

describe("createApp", () => {
  it("without a model says so at once", () => {
    expect(() => createApp({})).toThrow(/model/);
  });
});
