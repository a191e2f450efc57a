/**
 * The README's Worker in a project of somebody else's, which has the package as npm packs it: it compiles with every
 * version of hono that the package takes, and wrangler bundles it.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { project, STRICT } from "./project.ts";
import { ROOT } from "../imports.ts";

const readme = readFileSync(`${ROOT}README.md`, "utf8");
const [, snippet] = /## In your Worker[\s\S]*?```ts\n([\s\S]*?)```/.exec(readme)!;

const { peerDependencies, devDependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as Record<
  string,
  Record<string, string>
>;
const minor = (name: string): number => Number(/4\.(\d+)/.exec(devDependencies![name]!)![1]);
/** Packages here that are hono, newest last. */
const HONOS = Object.keys(devDependencies!)
  .filter((name) => /^hono(-4\.\d+)?$/.test(name))
  .sort((a, b) => minor(a) - minor(b));

describe("the README's Worker", { timeout: 240_000 }, () => {
  it.each(HONOS)("compiles and answers beside %s", async (hono) => {
    await using mine = await project({ hono, packages: ["@cloudflare/workers-types"] });
    await mine.write({
      "tsconfig.json": { ...STRICT, compilerOptions: { ...STRICT.compilerOptions, skipLibCheck: true } }, // older versions of hono are not clean themselves
      "src/index.ts": snippet!,
      "ask.mjs": ASK,
    });
    await mine.run("tsc", "-p", ".");
    expect(JSON.parse(await mine.run("node", "ask.mjs"))).toEqual({
      statuses: { answer: 200, wrongKey: 401, wrongMethod: 405, nothing: 404, page: 204 },
      allow: "POST",
      answer: "Yes",
      paths: expect.stringContaining("/ai/v1/models"),
      origin: "https://shop.example",
    });
  });

  it("has hono as a peer, and the versions that are tried reach from the oldest to the newest", () => {
    expect(peerDependencies!["hono"]).toBe("^4.6.0");
    expect(HONOS.map((name) => devDependencies![name]!.replace("npm:hono@", "").split(".").slice(0, 2).join("."))).toEqual([
      "4.6",
      "4.8",
      "4.10",
      "4.13",
    ]);
  });
});

/** The same app on Node, asked a few things that hono has a hand in. */
const ASK = `
import { Hono } from "hono";
import { createApp } from "fathom-edge/worker";
import { loadModel } from "fathom-edge/engine";
import { createNodeWasmBackend, diskFolder } from "fathom-edge/node";

const nano = await loadModel(diskFolder("node_modules/fathom-edge/models/nano"), createNodeWasmBackend);
const cors = { origin: async (origin) => origin.endsWith("//shop.example") ? origin : undefined };
const app = new Hono().route("/ai", createApp({ model: nano, apiKeys: ["key"], cors }));
const question = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";
const headers = { authorization: "Bearer key", "content-type": "application/json", origin: "https://shop.example" };
const body = JSON.stringify({ model: "nano", messages: [{ role: "user", content: question }] });
const path = "/ai/v1/chat/completions";
const answer = await app.request(path, { method: "POST", headers, body });
const wrongKey = await app.request(path, { method: "POST", headers: { ...headers, authorization: "Bearer other" }, body });
const wrongMethod = await app.request(path, { headers });
const nothing = await app.request("/ai/v1/nothing", { headers });
const page = await app.request(path, { method: "OPTIONS", headers: { origin: "https://shop.example", "access-control-request-method": "POST" } });
const all = { answer, wrongKey, wrongMethod, nothing, page };
console.log(JSON.stringify({
  statuses: Object.fromEntries(Object.entries(all).map(([name, { status }]) => [name, status])),
  allow: wrongMethod.headers.get("allow"),
  answer: (await answer.json()).choices[0].message.content,
  paths: (await nothing.json()).error.message,
  origin: answer.headers.get("access-control-allow-origin"),
}));
`;
