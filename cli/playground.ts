/**
 * What `fathom serve` gives beside the API: its description, the page that asks it, and with --playground the same page
 * with all that it fetches to run the model in the browser itself: the engine's modules, the packages that they import,
 * the Wasm builds and the model's files. All of it is public; API keys guard /v1 alone.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { serveStatic } from "@hono/node-server/serve-static";
import type { Env, Hono, MiddlewareHandler } from "hono";
import { FathomError } from "../engine/errors.ts";
import { foldersOf } from "./model-files.ts";

export const PLAYGROUND_PATH = "/playground/";

/** Path of the page that asks this server. */
const PAGE_PATH = "/";

const OPENAPI_PATH = "/openapi.json";

const fromHere = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Folders that hold the page with the engine's modules: what npm run generate makes, or in the package dist/ itself. */
const MODULES = [fromHere("../examples/browser/build/"), fromHere("../")];
const PAGE = "examples/browser/";
const WASM = fromHere("../wasm/build/");

/** Modules of the rooms that run in a browser, and in the package files that rooms share. */
const MODULE_FILE = "(?:engine|kernels|wasm|folders|examples|chunks)/[a-z0-9/-]+\\.js";

/** Folders that may hold openapi.json: a checkout, or the package, where this module lies a folder deeper. */
const ROOTS = [fromHere("../"), fromHere("../../")];

/** Packages that these modules import, under the names that the page's import map gives them. */
const PACKAGES: Readonly<Record<string, string>> = {
  "jinja.js": "@huggingface/jinja",
  "tokenizers.js": "@huggingface/tokenizers",
  "valibot.js": "valibot",
};

/** What the page calls the model's folder; and the other folders of the playground. */
const MODEL_NAME = "model";
const TAKEN = [MODEL_NAME, "modules", "packages", "wasm"];

/** What a model folder may give away: config, card, tokenizer, template, weights. Nothing hidden, nothing below. */
const MODEL_FILE = "[A-Za-z0-9_-][A-Za-z0-9._-]*\\.(?:json|jinja|safetensors)";

/** Adds the page that asks the server, at PAGE_PATH; nothing where it has not been built. */
export function addPage<E extends Env>(app: Hono<E>, modules = builtModules()): void {
  if (existsSync(join(modules, PAGE, "index.html"))) app.get(PAGE_PATH, filesOf(join(modules, PAGE)));
}

/** Adds the API's description, at OPENAPI_PATH. */
export function addOpenApi<E extends Env>(app: Hono<E>): void {
  const root = ROOTS.find((folder) => existsSync(join(folder, OPENAPI_PATH)));
  if (root !== undefined) app.get(OPENAPI_PATH, filesOf(root));
}

/**
 * Adds to an app, at PLAYGROUND_PATH, the same page and all that it needs to run the model itself.
 * @param model the folder whose model the page runs
 * @param modules the folder with examples/browser/engine.js and all that it imports [default the built one]
 * @throws {FathomError} unavailable where the page has not been built
 */
export function addPlayground<E extends Env>(app: Hono<E>, model: string, modules = builtModules()): void {
  const engine = join(modules, PAGE, "engine.js");
  const missing = [engine, join(WASM, "simd.wasm")].find((file) => !existsSync(file));
  if (missing !== undefined)
    throw new FathomError("unavailable", `There is no playground: ${missing} is missing; make it with npm run generate.`, "--playground");
  app.use(`${PLAYGROUND_PATH}*`, isolate);
  app.get(PLAYGROUND_PATH.slice(0, -1), (c) => c.redirect(PLAYGROUND_PATH.slice(1)));
  app.get(PLAYGROUND_PATH, filesOf(join(modules, PAGE)));
  app.get(`${PLAYGROUND_PATH}modules/:file{${MODULE_FILE}}`, filesOf(modules, `${PLAYGROUND_PATH}modules`));
  for (const [file, name] of Object.entries(PACKAGES)) app.get(`${PLAYGROUND_PATH}packages/${file}`, packageModule(name));
  app.get(`${PLAYGROUND_PATH}wasm/:file{(?:simd|relaxed)\\.wasm}`, filesOf(WASM));
  for (const { name, path } of modelFolders(model)) app.get(`${PLAYGROUND_PATH}${name}/:file{${MODEL_FILE}}`, filesOf(path));
}

/** Makes pages cross-origin isolated, so that the Wasm core may share its memory with other threads. */
const isolate: MiddlewareHandler = async (c, next) => {
  await next();
  c.header("Cross-Origin-Opener-Policy", "same-origin");
  c.header("Cross-Origin-Embedder-Policy", "require-corp");
};

/** The model's folder by the name that the page knows, and its base's beside it. @throws {FathomError} where the two have one name */
function modelFolders(model: string): { name: string; path: string }[] {
  const [own, base] = foldersOf(model);
  if (base !== undefined && TAKEN.includes(base.name))
    throw new FathomError(
      "unavailable",
      `The playground cannot serve a base called ${base.name}; rename its folder, and train over it again.`,
      "--playground",
    );
  return [{ name: MODEL_NAME, path: own!.path }, ...(base === undefined ? [] : [base])];
}

function builtModules(): string {
  return MODULES.find((folder) => existsSync(join(folder, PAGE, "engine.js"))) ?? MODULES[0]!;
}

/** The file that the path names after `below`. @param below [default all up to the last part; the index for an empty one] */
function filesOf(root: string, below?: string): ReturnType<typeof serveStatic> {
  return serveStatic({ root, rewriteRequestPath: (path) => path.slice(below?.length ?? path.lastIndexOf("/")) });
}

/** A package's entry: one module that imports nothing. */
function packageModule(name: string): ReturnType<typeof serveStatic> {
  const entry = fileURLToPath(import.meta.resolve(name));
  return serveStatic({ root: dirname(entry), rewriteRequestPath: () => entry.slice(dirname(entry).length) });
}
