/**
 * Threads in a page: the playground's answers are cross-origin isolated, so Chromium lets the Wasm core share its memory with
 * workers; their answer is that of one thread.
 * Needs a Chromium: CHROMIUM, or /usr/bin/chromium. Without one it is skipped, and says so; in CI that is a failure.
 */
import { existsSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { serve, type ServerType } from "@hono/node-server";
import { Hono } from "hono";
import { chromium, type Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { modelPath } from "../../cli/models.ts";
import { addPlayground, PLAYGROUND_PATH } from "../../cli/playground.ts";

const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

describe.runIf(existsSync(CHROMIUM))(`threads in ${CHROMIUM}`, () => {
  let server: ServerType;
  let browser: Browser;
  let address: string;

  beforeAll(async () => {
    const app = new Hono();
    addPlayground(app, modelPath("nano"));
    await new Promise((resolve) => {
      server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, resolve);
    });
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}${PLAYGROUND_PATH}`;
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  });
  afterAll(async () => {
    await browser.close();
    server.close();
  });

  it("share the work of a page that is cross-origin isolated, bit for bit", { timeout: 300_000 }, async () => {
    const page = await browser.newPage();
    await page.goto(address, { timeout: 120_000 });
    expect(await page.evaluate(() => globalThis.crossOriginIsolated)).toBe(true);
    await page.addScriptTag({ type: "module", content: "globalThis.load = (url) => import(url)" }); // the test's own would be Vite's
    await page.waitForFunction(() => "load" in globalThis); // a module runs later than its tag is there
    const alone = await page.evaluate(answerBy, { threads: 1, base: PLAYGROUND_PATH });
    expect(page.workers()).toEqual([]);
    const shared = await page.evaluate(answerBy, { threads: 2, base: PLAYGROUND_PATH });
    expect(page.workers()).toHaveLength(1);
    expect(alone).toHaveLength(3);
    expect(shared).toEqual(alone);
  });
});

type Loose = Record<string, (...values: unknown[]) => unknown>;

interface LoadedModel {
  readonly backend: object;
}

interface Made {
  readonly token: number;
  readonly logprobs: object;
}

/** In the page: tokens behind a prompt of 64 rows, whose products are large enough to share, and how likely others were. */
async function answerBy({ threads, base }: { threads: number; base: string }): Promise<Made[]> {
  const { load } = globalThis as unknown as { load(url: string): Promise<Loose> };
  const from = (path: string): Promise<Loose> => load(`${base}modules/${path}.js`);
  const { loadModel } = await from("engine/port/model");
  const { urlFolder } = await from("folders/url");
  const { browserWasm } = await from("wasm/browser");
  const { generate } = await from("engine/decode/generate");
  const { parseCacheStrategy } = await from("engine/cache-strategy");
  const { parseExitRule } = await from("engine/exit-rule");
  const wasm = browserWasm!({ relaxed: `${base}wasm/relaxed.wasm`, simd: `${base}wasm/simd.wasm`, threads });
  const { backend } = (await loadModel!(urlFolder!(`${base}model/`), wasm)) as LoadedModel;
  const prompt = Array.from({ length: 64 }, (_, i) => 3 + (i % 40));
  const options = { prompt, maxTokens: 3, iterations: 4, exit: parseExitRule!("none"), cache: parseCacheStrategy!("full"), logprobs: 20 };
  const made: Made[] = [];
  for await (const { token, logprobs } of generate!(backend, { ...options, stopTokens: new Set() }) as AsyncIterable<Made>)
    made.push({ token, logprobs });
  return made;
}
