/**
 * The page of examples/browser in Chromium: it answers on WebGPU, and without WebGPU on Wasm, with the same text.
 * Needs a Chromium: CHROMIUM, or /usr/bin/chromium. Without one it is skipped, and says so; in CI that is a failure.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html",
  js: "text/javascript",
  wasm: "application/wasm",
  json: "application/json",
};

/** A page's URL -> the file behind it. */
function fileOf(url: string): string {
  if (url === "/") return `${ROOT}examples/browser/index.html`;
  return ROOT + url.slice(1).replace(/^wasm\//, "wasm/build/");
}

describe.runIf(existsSync(CHROMIUM))(`the page in ${CHROMIUM}`, () => {
  let server: Server;
  let address: string;

  beforeAll(async () => {
    const bundle = await build({ entryPoints: [`${ROOT}examples/browser/engine.ts`], bundle: true, format: "esm", write: false });
    server = createServer((request, response) => {
      const url = request.url!;
      const body = url === "/engine.js" ? Promise.resolve(bundle.outputFiles[0]!.contents) : readFile(fileOf(url));
      body.then(
        (bytes) =>
          response.setHeader("content-type", TYPES[url === "/" ? "html" : url.split(".").at(-1)!] ?? "application/octet-stream").end(bytes),
        () => response.writeHead(404).end(),
      );
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterAll(() => server.close());

  async function ask(flags: readonly string[]): Promise<{ answer: string; log: string }> {
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", ...flags] });
    try {
      const page = await browser.newPage();
      await page.goto(address);
      await page.locator("button:enabled").click({ timeout: 100_000 });
      await page.getByText("Iterations by token").waitFor({ timeout: 100_000 });
      return { answer: await page.locator("output").innerText(), log: await page.locator("#log").innerText() };
    } finally {
      await browser.close();
    }
  }

  it("answers on WebGPU as on Wasm", { timeout: 240_000 }, async () => {
    const gpu = await ask(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]);
    expect(gpu.log).toContain("is ready on webgpu");
    const wasm = await ask([]);
    expect(wasm.log).toMatch(/No WebGPU here, because .*\n.*is ready on wasm/);
    expect(gpu.answer).toBe(wasm.answer);
    expect(gpu.answer).not.toBe("");
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
