/**
 * The names that a server on this machine answers to, and the whole server: what pages of other sites could send is
 * refused, keys that nobody could send stop it before it listens.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { hostname } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hostNames } from "../../cli/host-names.ts";

const FATHOM = fileURLToPath(new URL("../../cli/fathom.mjs", import.meta.url));
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

describe("the names of a server here", () => {
  it("are the machine's own by default", () => {
    expect(hostNames("127.0.0.1", undefined)).toEqual(LOOPBACK);
    expect(hostNames("::1", undefined)).toEqual(LOOPBACK);
    expect(hostNames("192.168.1.5", undefined)).toEqual([...LOOPBACK, "192.168.1.5"]);
    expect(hostNames("0.0.0.0", undefined)).toEqual(expect.arrayContaining([...LOOPBACK, hostname().toLowerCase()]));
  });

  it("are those that the user adds, too", () => {
    expect(hostNames("127.0.0.1", "Fathom.lan, ai.example, fe80::1")).toEqual([...LOOPBACK, "fathom.lan", "ai.example", "[fe80::1]"]);
  });

  it.each(["*", "http://a.example", "a.example:80", "a.example/", "a b", "user@a.example", "a,,b", "*.example", "[::1]:80", "a?b"])(
    "cannot be %j",
    (allow) => {
      expect(() => hostNames("127.0.0.1", allow)).toThrow(
        expect.objectContaining({ code: "invalid_request", message: expect.stringContaining("--allow-hosts") }),
      );
    },
  );
});

describe("fathom serve", { timeout: 60_000 }, () => {
  let server: ChildProcess;
  let port: number;

  beforeAll(async () => {
    const options = ["serve", "--port", "0", "--backend", "wasm", "--allow-hosts", "fathom.lan", "--playground"];
    server = spawn(process.execPath, [FATHOM, ...options], { stdio: ["ignore", "pipe", "inherit"] });
    for await (const line of createInterface(server.stdout!)) {
      port = Number(/:(\d+)$/.exec(line)?.[1]);
      break;
    }
  }, 60_000);
  afterAll(() => server.kill("SIGKILL"));

  async function status(path: string, headers: Record<string, string>, body?: object): Promise<number> {
    const asked = request({ port, host: "127.0.0.1", path, method: body === undefined ? "GET" : "POST", headers, agent: false });
    asked.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = await once(asked, "response");
    response.resume();
    return response.statusCode;
  }

  it("answers to its own names and to those that are allowed, on every path", async () => {
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, "fathom.lan"])
      for (const path of ["/v1/models", "/health", "/playground/"]) expect(await status(path, { host }), `${host}${path}`).toBe(200);
  });

  it("answers to no other name: a page whose name was bound anew to this machine reads nothing", async () => {
    for (const host of [`evil.test:${port}`, "evil.test", "localhost.evil.test"])
      for (const path of ["/v1/models", "/health", "/playground/", "/playground/model/config.json"])
        expect(await status(path, { host }), `${host}${path}`).toBe(403);
  });

  it("is not spent by pages of other sites", async () => {
    const body = { model: "nano", messages: [{ role: "user", content: "Start with 1. Add 1. What is the last digit?" }] };
    const path = "/v1/chat/completions";
    const host = `127.0.0.1:${port}`;
    expect(await status(path, { host, origin: "https://evil.test", "content-type": "application/json" }, body)).toBe(403);
    expect(await status(path, { host, "content-type": "text/plain" }, body)).toBe(415);
    expect(await status(path, { host, "content-type": "application/x-www-form-urlencoded" }, body)).toBe(415);
    expect(await status(path, { host }, body)).toBe(415);
    expect(await status(path, { host, "content-type": "application/json" }, body)).toBe(200);
  });
});

describe("fathom serve --api-keys", { timeout: 60_000 }, () => {
  it.each(["a b", "k1,k1", ",", "k1,,k2", "schlüssel"])("of %j does not start, and does not repeat the keys", async (keys) => {
    const child = spawn(process.execPath, [FATHOM, "serve", "--port", "0", "--backend", "wasm", "--api-keys", keys], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const words = (await child.stderr.toArray()).join("");
    if (child.exitCode === null) await once(child, "exit");
    expect(child.exitCode).toBe(2);
    expect(words).toContain("--api-keys");
    if (keys.length > 1) expect(words).not.toContain(keys);
  });
});
