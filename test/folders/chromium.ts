/**
 * A model kept by Chromium: a page loads it over HTTP and answers; then the server is gone, the browser is started anew and
 * is offline, and the same page answers again. The page's own files come from a service worker then, the model's from OPFS.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve, type ServerType } from "@hono/node-server";
import { Hono } from "hono";
import { chromium, type Page } from "playwright-core";
import { addPlayground, PLAYGROUND_PATH } from "../../cli/playground.ts";

export const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

/** One visit of the page. */
export interface Visit {
  readonly tokens: readonly number[];
  readonly log: readonly string[];
  readonly seconds: number;
  /** Bytes that the page's origin has stored. */
  readonly storedBytes: number;
  readonly isOnline: boolean;
}

export interface KeptVisits {
  readonly first: Visit;
  readonly offline: Visit;
  /** Requests for the model's files, all in the first visit. */
  readonly modelRequests: readonly string[];
}

/** Answers from a cache everything but the model, so that the page itself comes without the network, too. */
const SERVICE_WORKER = `
  self.addEventListener("install", () => self.skipWaiting());
  self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
  self.addEventListener("fetch", (event) => {
    if (event.request.url.includes("/model/")) return;
    event.respondWith(caches.open("page").then(async (cache) => {
      const cached = await cache.match(event.request);
      if (cached) return cached;
      const response = await fetch(event.request);
      await cache.put(event.request, response.clone());
      return response;
    }));
  });`;

/** The playground's import map, and the engine in a variable. */
async function pageHtml(): Promise<string> {
  const html = await readFile(new URL("../../examples/browser/index.html", import.meta.url), "utf8");
  const map = /<script type="importmap">[\s\S]*?<\/script>/.exec(html)![0];
  return `<!doctype html>${map}<script type="module">
    import { openEngine } from "${PLAYGROUND_PATH}modules/examples/browser/engine.js";
    globalThis.openEngine = openEngine;
  </script>`;
}

/**
 * @param model  folder with a card that lists its files
 * @param tokens most tokens of an answer
 */
export async function visitTwice(model: string, question: string, iterations: number, tokens: number): Promise<KeptVisits> {
  const modelRequests: string[] = [];
  const app = new Hono();
  app.use(`${PLAYGROUND_PATH}model/*`, async (c, next) => {
    modelRequests.push(c.req.path.slice(`${PLAYGROUND_PATH}model/`.length));
    await next();
  });
  const html = await pageHtml();
  app.get(`${PLAYGROUND_PATH}kept.html`, (c) => c.html(html));
  app.get(`${PLAYGROUND_PATH}service-worker.js`, (c) => c.body(SERVICE_WORKER, 200, { "content-type": "text/javascript" }));
  addPlayground(app, model);
  const profile = await mkdtemp(join(tmpdir(), "fathom-kept-"));
  let server: ServerType;
  await new Promise((resolve) => {
    server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, resolve);
  });
  const { port } = server!.address() as AddressInfo;
  const address = `http://127.0.0.1:${port}${PLAYGROUND_PATH}kept.html`;
  try {
    const first = await inBrowser(profile, false, async (page) => {
      await page.goto(address);
      await page.evaluate(async (script) => {
        await navigator.serviceWorker.register(script);
        await navigator.serviceWorker.ready;
      }, `${PLAYGROUND_PATH}service-worker.js`);
      await page.reload(); // now the service worker sees what the page fetches
      return ask(page, question, iterations, tokens);
    });
    await new Promise((resolve) => {
      server.close(resolve);
      if ("closeAllConnections" in server) server.closeAllConnections();
    });
    const requests = [...modelRequests];
    const offline = await inBrowser(profile, true, async (page) => {
      await page.goto(address);
      return ask(page, question, iterations, tokens);
    });
    return { first, offline, modelRequests: requests };
  } finally {
    server!.close();
    await rm(profile, { recursive: true, force: true });
  }
}

async function inBrowser<T>(profile: string, offline: boolean, use: (page: Page) => Promise<T>): Promise<T> {
  const context = await chromium.launchPersistentContext(profile, { executablePath: CHROMIUM, args: ["--no-sandbox"], offline });
  try {
    return await use(context.pages()[0] ?? (await context.newPage()));
  } finally {
    await context.close();
  }
}

interface PageEngine {
  openEngine(options: object): Promise<{ ask(question: string, iterations: number): AsyncIterable<{ token: { token: number } }> }>;
}

/** Loads the model in the page and asks it. */
async function ask(page: Page, question: string, iterations: number, tokens: number): Promise<Visit> {
  await page.waitForFunction(() => "openEngine" in globalThis, undefined, { timeout: 180_000 });
  return page.evaluate(
    async ({ question, iterations, tokens, base }) => {
      const startMs = performance.now();
      const log: string[] = [];
      const { openEngine } = globalThis as unknown as PageEngine;
      const engine = await openEngine({ model: `${base}model/`, wasm: `${base}wasm/`, log: (line: string) => log.push(line) });
      const answer: number[] = [];
      for await (const { token } of engine.ask(question, iterations)) {
        answer.push(token.token);
        if (answer.length === tokens) break;
      }
      const { usage = 0 } = await navigator.storage.estimate();
      return { tokens: answer, log, seconds: (performance.now() - startMs) / 1000, storedBytes: usage, isOnline: navigator.onLine };
    },
    { question, iterations, tokens, base: PLAYGROUND_PATH },
  );
}
