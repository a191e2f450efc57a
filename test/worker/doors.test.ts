/**
 * What stands before the routes: host names, origins and content types by which pages of other sites could spend a
 * server, and headers that say what may be kept.
 */
import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { describe, expect, it } from "vitest";
import { LOOPBACK } from "../../worker/allowed-hosts.ts";
import { createApp } from "../../worker/app.ts";
import { app, chat, nano, post, SERVER, worker } from "./support.ts";

const CHAT = "/v1/chat/completions";
const code = async (response: Response): Promise<string> => ((await response.json()) as any).error.code;

describe("a body's content type", () => {
  const send = (contentType: string | undefined) =>
    app()(`${SERVER}${CHAT}`, {
      method: "POST",
      headers: contentType === undefined ? {} : { "content-type": contentType },
      body: new Blob([JSON.stringify(chat())]).stream(),
    });

  it.each(["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/json ; x=y"])(
    "may be %s",
    async (type) => {
      expect((await send(type)).status).toBe(200);
    },
  );

  it.each([
    undefined,
    "text/plain",
    "text/plain;charset=UTF-8",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=application/json",
    "text/plain; application/json",
    "application/jsonp",
    "application/json-seq",
    "text/json",
  ])("is refused with 415 when it is %s, which a page may send unasked or is another format", async (type) => {
    const response = await send(type);
    expect(response.status).toBe(415);
    const { error } = (await response.json()) as any;
    expect(error).toMatchObject({ type: "invalid_request_error", code: "unsupported_media_type" });
    expect(error.message).toContain("application/json");
  });

  it("is asked for before the body is read", async () => {
    const body = new ReadableStream<Uint8Array>({ pull: () => expect.unreachable() }, { highWaterMark: 0 });
    expect((await app()(`${SERVER}/v1/completions`, { method: "POST", body })).status).toBe(415);
  });
});

describe("allowedHosts", () => {
  const local = app({ allowedHosts: [...LOOPBACK, "Fathom.example"] });
  const from = (host: string, headers: Record<string, string> = {}) => local(`http://${host}/v1/models`, { headers: { ...headers, host } });

  it.each(["localhost", "localhost:8788", "LOCALHOST", "127.0.0.1:8788", "[::1]:8788", "app.localhost", "fathom.example"])(
    "lets in requests to %s",
    async (host) => {
      expect((await from(host)).status).toBe(200);
    },
  );

  it.each(["evil.test", "localhost.evil.test", "evil-localhost", "127.0.0.1.evil.test", "10.0.0.1", "[::2]", "fathom.example.evil.test"])(
    "refuses requests to %s on every path",
    async (host) => {
      const response = await from(host);
      expect(response.status).toBe(403);
      expect(await code(response)).toBe("host_not_allowed");
      expect((await local(`http://${host}/health`, { headers: { host } })).status).toBe(403);
      const asked = await local(`http://${host}${CHAT}`, {
        method: "POST",
        headers: { host, "content-type": "application/json" },
        body: JSON.stringify(chat()),
      });
      expect(asked.status).toBe(403);
    },
  );

  it.each(["https://evil.test", "null", "http://localhost.evil.test", "file://"])("refuses pages of %s", async (origin) => {
    const response = await from("localhost:8788", { origin });
    expect(response.status).toBe(403);
    expect(await code(response)).toBe("origin_not_allowed");
  });

  it("lets in pages of its own hosts, and those that cors names", async () => {
    expect((await from("localhost:8788", { origin: "http://localhost:3000" })).status).toBe(200);
    const shop = app({ allowedHosts: LOOPBACK, cors: { origin: "https://shop.test" } });
    const response = await shop("http://localhost/v1/models", { headers: { host: "localhost", origin: "https://shop.test" } });
    expect(response.status).toBe(200);
    expect(response.headers.get("access-control-allow-origin")).toBe("https://shop.test");
  });

  it("is any where it is left out, as Cloudflare sends a Worker its own hosts alone", async () => {
    expect((await worker("https://anything.test/v1/models")).status).toBe(200);
  });
});

describe("headers of answers", () => {
  it("keep them out of caches: plain, streamed, refused and unknown", async () => {
    const call = app({ apiKeys: ["key"], cors: { origin: "*" } });
    const headers = { authorization: "Bearer key", "content-type": "application/json" };
    const ask = (body: object) => call(`${SERVER}${CHAT}`, { method: "POST", headers, body: JSON.stringify(chat(body)) });
    const streamed = await ask({ stream: true });
    for (const response of [
      await ask({}),
      streamed,
      await ask({ temperature: 9 }),
      await post(call, CHAT, chat()),
      await call(`${SERVER}/v1/models`, { headers }),
      await call(`${SERVER}/v1/nothing`, { headers }),
      await call(`${SERVER}/health`),
      await call(`${SERVER}/ready`),
    ])
      expect(response.headers.get("cache-control"), String(response.status)).toBe("no-store");
    await streamed.text();
  });

  it("have what hono's own middleware says of itself, but for the transport", async () => {
    const hono = await new Hono().use(secureHeaders({ strictTransportSecurity: false })).request("/");
    const expected = [...hono.headers].filter(([name]) => name !== "content-type");
    expect(expected.length).toBeGreaterThan(8);
    for (const path of ["/health", "/v1/models", "/v1/nothing"]) {
      const { headers } = await app()(`${SERVER}${path}`);
      for (const [name, value] of expected) expect(headers.get(name), `${path}: ${name}`).toBe(value);
    }
  });

  it("say nothing of the transport of the host that mounts the app", async () => {
    const outer = new Hono().route("/ai", createApp({ model: nano }));
    for (const path of ["/ai/health", "/ai/v1/models", "/ai/v1/nothing"]) {
      const response = await outer.request(`https://shop.test${path}`);
      expect(response.headers.has("strict-transport-security")).toBe(false);
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    }
  });
});
