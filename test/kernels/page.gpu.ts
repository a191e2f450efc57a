/**
 * The playground in Chromium: it answers on WebGPU, and without WebGPU on Wasm, with the same text.
 * Needs a Chromium: CHROMIUM, or /usr/bin/chromium. Without one it is skipped, and says so; in CI that is a failure.
 */
import { existsSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { serve, type ServerType } from "@hono/node-server";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadNodeModel, modelPath } from "../../cli/models.ts";
import { addPlayground, PLAYGROUND_PATH } from "../../cli/playground.ts";
import { createApp } from "../../worker/app.ts";

const SOFTWARE_GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

describe.runIf(existsSync(CHROMIUM))(`the page in ${CHROMIUM}`, () => {
  let server: ServerType;
  let address: string;

  beforeAll(async () => {
    const app = createApp({ model: await loadNodeModel("nano", "wasm") });
    addPlayground(app, modelPath("nano"));
    await new Promise((resolve) => {
      server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, resolve);
    });
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}${PLAYGROUND_PATH}`;
  });
  afterAll(() => server.close());

  async function ask(flags: readonly string[], query = ""): Promise<{ answer: string; spent: string; log: string }> {
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", ...flags] });
    try {
      const page = await browser.newPage();
      await page.goto(address + query);
      await page.locator("#where-page").check({ timeout: 100_000 });
      await page.locator("#ask button:enabled").click({ timeout: 100_000 });
      await page.getByText("Iterations by token").waitFor({ timeout: 240_000 });
      const [answer, spent, log] = await Promise.all(["#answer", "#spent", "#log"].map((id) => page.locator(id).innerText()));
      return { answer: answer!, spent: spent!, log: log! };
    } finally {
      await browser.close();
    }
  }

  it("answers on WebGPU as on Wasm", { timeout: 500_000 }, async () => {
    const gpu = await ask(SOFTWARE_GPU, "?gpu=software");
    expect(gpu.spent).toContain("In this page, on webgpu.");
    const wasm = await ask([]);
    expect([wasm.log, wasm.spent]).toEqual([expect.stringMatching(/No WebGPU here, because /), expect.stringContaining("on wasm.")]);
    expect(gpu.answer).toBe(wasm.answer);
    expect(gpu.answer).not.toBe("");
  });

  it("leaves a GPU that the CPU plays to those who ask for it", { timeout: 500_000 }, async () => {
    const { log, spent } = await ask(SOFTWARE_GPU);
    expect([log, spent]).toEqual([
      expect.stringMatching(/slower than Wasm, which runs instead; \?gpu=software /),
      expect.stringContaining("on wasm."),
    ]);
  });
});

describe.runIf(!existsSync(CHROMIUM))("the page", () => {
  const missing = `no Chromium at ${CHROMIUM}: apt-get install chromium, or name one in CHROMIUM`;
  if (process.env["CI"] === "true")
    it("has a Chromium", () => {
      throw new Error(missing);
    });
  else it.skip(`needs a browser: ${missing}`, () => undefined);
});
