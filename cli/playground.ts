/**
 * `fathom serve --playground`: the page of examples/browser, which runs the engine in the browser itself, and what it
 * fetches: its bundle, the Wasm builds and the model's files. All of it is public; API keys guard /v1 alone.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serveStatic } from "@hono/node-server/serve-static";
import type { Env, Hono } from "hono";
import { FathomError } from "../engine/errors.ts";

export const PLAYGROUND_PATH = "/playground/";

/** Folders of the page and of the Wasm builds, made by npm run generate; dist/ has them in the same places. */
const [PAGE, WASM] = ["../examples/browser/build/", "../wasm/build/"].map((path) => fileURLToPath(new URL(path, import.meta.url)));

/** What a model folder may give away: config, card, tokenizer, template, weights. Nothing hidden, nothing below. */
const MODEL_FILE = "[A-Za-z0-9_-][A-Za-z0-9._-]*\\.(?:json|jinja|safetensors)";

/**
 * Adds the page to an app, at PLAYGROUND_PATH.
 * @param model the folder whose model the page runs
 * @param page the folder with index.html and engine.js [default the built one]
 * @throws {FathomError} unavailable where the page has not been built
 */
export function addPlayground<E extends Env>(app: Hono<E>, model: string, page = PAGE!): void {
  const missing = [join(page, "index.html"), join(page, "engine.js"), join(WASM!, "simd.wasm")].find((file) => !existsSync(file));
  if (missing !== undefined)
    throw new FathomError("unavailable", `There is no playground: ${missing} is missing; make it with npm run generate.`, "--playground");
  app.get(PLAYGROUND_PATH.slice(0, -1), (c) => c.redirect(PLAYGROUND_PATH.slice(1)));
  app.get(PLAYGROUND_PATH, filesOf(page));
  app.get(`${PLAYGROUND_PATH}engine.js`, filesOf(page));
  app.get(`${PLAYGROUND_PATH}wasm/:file{(?:simd|relaxed)\\.wasm}`, filesOf(WASM!));
  app.get(`${PLAYGROUND_PATH}model/:file{${MODEL_FILE}}`, filesOf(model));
}

/** The file that the last part of the path names; the index for none. */
function filesOf(root: string): ReturnType<typeof serveStatic> {
  return serveStatic({ root, rewriteRequestPath: (path) => path.slice(path.lastIndexOf("/")) });
}
