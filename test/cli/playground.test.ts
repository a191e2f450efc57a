/** The playground's routes, on the app that `fathom serve` serves. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadNodeModel, modelPath } from "../../cli/models.ts";
import { addOpenApi, addPlayground } from "../../cli/playground.ts";
import type { Model } from "../../engine/port/model.ts";
import { createApp } from "../../worker/app.ts";

const FOLDER = modelPath("nano");
let model: Model;
beforeAll(async () => {
  model = await loadNodeModel("nano", "wasm");
});

const serve = (isAdded = true): ReturnType<typeof createApp> => {
  const app = createApp({ model, apiKeys: ["secret"] });
  if (isAdded) addPlayground(app, FOLDER);
  return app;
};

const importsOf = (code: string): string[] =>
  [...code.matchAll(/^(?:import|export)\s[^"';]*?from\s*"([^"]+)"|^import\s*"([^"]+)"|\bimport\("([^"]+)"\)/gm)].map(
    ([, from, bare, dynamic]) => (from ?? bare ?? dynamic)!,
  );

it("the API's description is at /openapi.json, to whoever asks", async () => {
  const app = serve(false);
  addOpenApi(app);
  const response = await app.request("/openapi.json");
  expect(response.headers.get("content-type")).toMatch(/^application\/json/);
  expect(await response.json()).toMatchObject({ openapi: "3.1.0", servers: [{ url: "." }] });
});

describe("the playground", () => {
  it("is a page, and everything that the page fetches", async () => {
    const app = serve();
    const near = await app.request("/playground");
    expect([near.status, new URL(near.headers.get("location")!, "http://host/playground").pathname]).toEqual([302, "/playground/"]);
    const expected: [path: string, type: RegExp, start: string][] = [
      ["", /^text\/html/, "<!doctype html>"],
      ["modules/examples/browser/engine.js", /^text\/javascript/, ""],
      ["wasm/simd.wasm", /^application\/wasm$/, "\0asm"],
      ["wasm/relaxed.wasm", /^application\/wasm$/, "\0asm"],
      ["model/config.json", /^application\/json/, "{"],
      ["model/model.safetensors", /^application\/octet-stream$/, ""],
    ];
    for (const [path, type, start] of expected) {
      const response = await app.request(`/playground/${path}`);
      expect(response.status, path).toBe(200);
      expect(response.headers.get("content-type"), path).toMatch(type);
      const bytes = new Uint8Array(await response.arrayBuffer());
      expect(Number(response.headers.get("content-length")), path).toBe(bytes.length);
      expect(new TextDecoder().decode(bytes.subarray(0, start.length)), path).toBe(start);
    }
    const weights = await app.request("/playground/model/model.safetensors");
    expect(Buffer.from(await weights.arrayBuffer()).equals(await readFile(join(FOLDER, "model.safetensors")))).toBe(true);
  });

  it("serves every module that the page's script imports, and every package by the import map", async () => {
    const app = serve();
    const html = await (await app.request("/playground/")).text();
    const { imports } = JSON.parse(/<script type="importmap">([\s\S]*?)<\/script>/.exec(html)![1]!) as { imports: Record<string, string> };
    const page = "http://host/playground/";
    expect(html, "what the page imports when it is asked").toContain("modules/examples/browser/engine.js");
    const used = new Set<string>();
    const urls = new Set([new URL("modules/examples/browser/engine.js", page).href]);
    for (const url of urls) {
      const response = await app.request(url);
      expect([response.status, response.headers.get("content-type")], url).toEqual([200, expect.stringMatching(/^text\/javascript/)]);
      for (const name of importsOf(await response.text())) {
        if (!name.startsWith(".")) used.add(name);
        urls.add(name.startsWith(".") ? new URL(name, url).href : new URL(imports[name] ?? `no ${name} in the import map`, page).href);
      }
    }
    expect([...used].sort()).toEqual(Object.keys(imports).sort());
    expect(urls.size).toBeGreaterThan(50);
  });

  it("gives nothing else away", async () => {
    const app = serve();
    expect(existsSync(join(FOLDER, "eval"))).toBe(true);
    for (const path of [
      "model/",
      "model/eval",
      "model/eval/liar.jsonl",
      "model/..%2F..%2Fpackage.json",
      "model/%2e%2e/%2e%2e/package.json",
      "model/.env.json",
      "model/tokenizer_config.json",
      "wasm/other.wasm",
      "index.ts",
      "engine.js",
      "modules/package.json",
      "modules/cli/main.js",
      "modules/engine/../package.js",
      "modules/engine/%2e%2e/%2e%2e/build.js",
      "packages/hono.js",
    ]) {
      const response = await app.request(`/playground/${path}`);
      expect(response.status, path).toBe(404);
      expect(await response.json(), path).toMatchObject({ error: { code: "unknown_url" } });
    }
    expect((await app.request("/v1/models")).status).toBe(401);
  });

  it("is there only where it is asked for", async () => {
    const app = serve(false);
    for (const path of ["/playground", "/playground/", "/playground/model/model.safetensors"])
      expect((await app.request(path)).status, path).toBe(404);
  });

  it("says what to run where the page has not been built", () => {
    expect(() => addPlayground(createApp({ model }), FOLDER, "/nowhere/")).toThrow(
      "There is no playground: /nowhere/examples/browser/engine.js is missing; make it with npm run generate.",
    );
  });
});
