/** Counters of callers' requests: who is counted by which, what is refused, what callers are told. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { createApp } from "../../worker/app.ts";
import type { RateLimiter } from "../../worker/rates.ts";
import { app, chat, nano, openai, SERVER, type Call } from "./support.ts";

const digest = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"; // of "key"

/** Lets through so many requests of each key. */
function counter(most: number): RateLimiter & { seen: string[] } {
  const counts = new Map<string, number>();
  const seen: string[] = [];
  return {
    seen,
    async limit({ key }) {
      seen.push(key);
      counts.set(key, (counts.get(key) ?? 0) + 1);
      return { success: counts.get(key)! <= most };
    },
  };
}

const rate = (limiter: RateLimiter, requests = 1) => ({ limiter: () => limiter, requests, periodSeconds: 10 });

const ask = (call: Call, headers: Record<string, string> = {}, path = "/v1/chat/completions"): Promise<Response> =>
  call(`${SERVER}${path}`, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(chat()) });

describe("a rate", () => {
  it("lets through what it allows, and refuses more with 429 and when to come back", async () => {
    const call = app({ rates: { default: rate(counter(1)) } });
    const first = await ask(call);
    expect([first.status, first.headers.get("x-ratelimit-limit-requests")]).toEqual([200, "1"]);
    const second = await ask(call);
    expect(second.status).toBe(429);
    expect(Object.fromEntries(second.headers)).toMatchObject({
      "retry-after": "10",
      "x-ratelimit-limit-requests": "1",
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-requests": "10s",
    });
    expect(second.headers.has("x-should-retry"), "clients may retry").toBe(false);
    expect(await second.json()).toMatchObject({ error: { code: "rate_limit_exceeded", type: "invalid_request_error" } });
  });

  it("is a RateLimitError to OpenAI's client", async () => {
    const call = app({ rates: { default: rate(counter(0)) } });
    const asked = openai(call).chat.completions.create({ model: "nano", messages: [{ role: "user", content: "a" }] });
    await expect(asked).rejects.toMatchObject({ name: "Error", status: 429, code: "rate_limit_exceeded" });
  });

  it("counts each key by itself, by its name or its digest and never by its text; others by their address", async () => {
    const limiter = counter(1);
    const apiKeys = ["first-key", { sha256: digest, name: "shop" }];
    const call = app({ apiKeys, rates: { default: rate(limiter) } });
    for (const key of ["first-key", "key"]) expect((await ask(call, { authorization: `Bearer ${key}` })).status, key).toBe(200);
    expect((await ask(call, { authorization: "Bearer key" })).status).toBe(429);
    expect((await ask(call, { authorization: "Bearer wrong" })).status).toBe(401);
    expect(limiter.seen).toEqual([expect.stringMatching(/^[0-9a-f]{12}$/), "shop", "shop"]);
    const anybody = counter(1);
    const open = app({ rates: { default: rate(anybody) } });
    for (const address of ["1.1.1.1", "2.2.2.2"]) expect((await ask(open, { "cf-connecting-ip": address })).status).toBe(200);
    expect((await ask(open, { "cf-connecting-ip": "1.1.1.1" })).status).toBe(429);
  });

  it("may be a key's own", async () => {
    const [small, all] = [counter(0), counter(9)];
    const call = app({ apiKeys: ["other", { sha256: digest, rate: "small" }], rates: { default: rate(all, 9), small: rate(small) } });
    expect((await ask(call, { authorization: "Bearer key" })).status).toBe(429);
    expect((await ask(call, { authorization: "Bearer other" })).status).toBe(200);
    expect(() => createApp({ model: nano, apiKeys: [{ sha256: digest, rate: "large" }], rates: { small: rate(small) } })).toThrow(
      /apiKeys.0.rate is "large", which rates does not have/,
    );
  });

  it("counts decisions, too, and no cards", async () => {
    const call = app({ rates: { default: rate(counter(0)) } });
    for (const path of ["/v1/decisions", "/v1/systemone", "/v1/completions"]) expect((await ask(call, {}, path)).status, path).toBe(429);
    expect((await call(`${SERVER}/v1/models`)).status).toBe(200);
  });
});

describe("a counter that fails", () => {
  const log = vi.spyOn(console, "error").mockReturnValue();
  beforeEach(() => log.mockClear());

  it("refuses the request with 500, and the log says why", async () => {
    const boom = new Error("counter");
    for (const limit of [() => Promise.reject(boom), async () => undefined, async () => ({ success: "true" })])
      expect((await ask(app({ rates: { default: rate({ limit } as unknown as RateLimiter) } }))).status).toBe(500);
    expect((await ask(app({ rates: { default: { ...rate(counter(1)), limiter: () => undefined as never } } }))).status).toBe(500);
    expect(log).toHaveBeenCalled();
  });
});
