/**
 * Fathom's HTTP app: routes and what stands before them. A team mounts it in its own Hono app or serves it alone.
 * Runs wherever Hono does; where models come from is the caller's.
 */
import type { Context, Hono, MiddlewareHandler } from "hono";
import { HonoBase } from "hono/hono-base";
import { HTTPException } from "hono/http-exception";
import { requestId } from "hono/request-id";
import { TrieRouter } from "hono/router/trie-router";
import { hostCheck } from "./allowed-hosts.ts";
import { keyAuth } from "./auth.ts";
import { createCatalogue, type Asking } from "./catalogue.ts";
import { completionHandler } from "./completions.ts";
import { decisionHandler, SHAPES, typeSafeRequestId } from "./decisions/routes.ts";
import { printable } from "./check.ts";
import { embeddingsHandler } from "./embeddings/route.ts";
import { crossOrigin } from "./cross-origin.ts";
import { door } from "./door.ts";
import { errorBody } from "./error-body.ts";
import { ApiError } from "./errors.ts";
import type { Explain } from "./faults.ts";
import { healthHandler, readyHandler } from "./health.ts";
import { hostOf } from "./host.ts";
import { jsonOnly } from "./json-only.ts";
import { modelDetails, modelList } from "./models.ts";
import { checkAppOptions, type AppOptions } from "./options.ts";
import { rateLimit } from "./rates.ts";
import { secureHeaders } from "./secure-headers.ts";
import { serviceOf } from "./service.ts";
import type { FathomSchema } from "./wire-routes.ts";

export type { AppOptions };
export type { ApiKey, ApiKeys } from "./keys.ts";
export type { Rate, RateLimiter, Rates } from "./rates.ts";
export type * from "./wire-decisions.ts";
export type * from "./wire-routes.ts";
export type * from "./wire-types.ts";

/**
 * Creates the app: POST /v1/chat/completions and /v1/completions (plain and SSE), POST /v1/embeddings and /v1/decisions,
 * GET /v1/models, /v1/models/{id}, /health and /ready, in OpenAI's shapes, POST /v1/systemone in TypeSafe's, with Fathom's `budget`
 * beside them.
 *
 * Options are checked here, once: a name that is not below or a value of another type throws. One that is undefined
 * counts as left out. What a function gives is checked when it is called; where it decides over a request and throws,
 * rejects, gives something else or takes longer than 10 s, the request is refused with 500 and the log says why.
 *
 * @param {ModelSource} [options.model] - The one model to serve, named as its card says: a loaded model, or a function
 *   of the bindings that gives one. Either this or `models` is needed.
 * @param {Record<string, ModelSource>} [options.models={}] - Models by name.
 * @param {Record<string, string>} [options.aliases={}] - Further names of models, e.g. `{ "jev-latest": "nano" }`, for
 *   clients that ask for one they know; answers carry the model's own name.
 * @param {(string | ApiKey)[] | ((key, c) => boolean)} [options.apiKeys] - Bearer keys that open /v1: texts, digests as
 *   "sha256:HEX", or `{ sha256, name, budget, rate }` with ceilings of its own; or a function that lets in those it gives
 *   `true` for. Without it /v1 is open to everyone. /health and /ready always are.
 * @param {Record<string, Rate>} [options.rates] - Counters of requests (Workers' rate limit bindings), by name, each as
 *   `{ limiter: (bindings) => bindings.RATE, requests: 100, periodSeconds: 60 }`; "default" counts whoever's key names
 *   none. Over it: 429 with Retry-After.
 * @param {CorsOptions} [options.cors] - Options of hono/cors, of which `origin` must be given; without it other origins'
 *   pages cannot call. An origin that a function gives nothing for, or fails on, is not let in.
 * @param {string[]} [options.allowedHosts] - Host names that the app answers to, and whose pages may call: for servers on
 *   a machine of one's own, which other sites' pages reach under names of theirs. [default any]
 * @param {number} [options.limits.maxBodyBytes=65536] - Larger bodies get 413.
 * @param {number} [options.limits.maxPromptCharacters=32768] - Longer prompts get 400, before any work on them.
 * @param {number} [options.limits.maxCompletionTokens=4096] - Ceiling, in tokens, over what a request may ask for.
 * @param {number} [options.limits.maxChoices=128] - Most completions of one prompt, of those that `n` asks for.
 * @param {number} [options.limits.maxIterations=64] - Ceiling, in iterations a token, over card and request.
 * @param {Budget} [options.limits.budget={}] - Ceiling over everything else that a request may spend: latencyMs, costUsd, ...
 * @param {number} [options.prefixCache.maxBytes=16777216] - Bytes of prompts' beginnings that are kept for later prompts, of
 *   each model; 0 keeps none.
 * @param {boolean} [options.prefixCache.byKey=false] - Whether callers with different bearer keys share none of them.
 * @param {(key, c) => Budget | undefined} [options.keyBudget] - What the caller of a bearer key may spend on a request; a
 *   promise is awaited.
 * @param {PriceCard} [options.price=WORKERS] - Turns milliseconds into dollars, for `budget.cost_usd`.
 * @param {Clock} [options.clock] - Milliseconds. [default performance.now, which stands still on Workers during work]
 * @param {(event, bindings) => unknown} [options.onCompletion] - Told of every completion and decision that has ended; never waited
 *   for, and its failures change no answer.
 * @param {(fault, bindings) => void} [options.onError=console.error] - Told, once, of every failure that is the model's
 *   or the server's; callers see one public sentence of it.
 * @param {() => Promise<void>} [options.breathe] - Awaited between tokens; the default takes over where it fails or takes
 *   longer than 1 s. [default scheduler.wait(0), or setImmediate]
 * @returns {Hono} An app to serve, or to mount: what is refused, logged or limited stays within its own path. Its type has
 *   the routes, for `hc<AppType>`.
 * @throws {TypeError} naming the option that is wrong
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { createApp } from "fathom-edge/worker";
 * import { assetsFolder, once } from "fathom-edge/worker/model-source";
 * import { createWorkerBackend } from "fathom-edge/worker/wasm-backend";
 * import { loadModel } from "fathom-edge/engine";
 *
 * type Bindings = { ASSETS: Fetcher };
 * const nano = once<Bindings>(({ ASSETS }, signal, origin) =>
 *   loadModel(assetsFolder(ASSETS, "nano", { signal, origin }), createWorkerBackend),
 * );
 * const app = new Hono<{ Bindings: Bindings }>();
 * app.route("/ai", createApp({ model: nano, limits: { maxIterations: 16 } }));
 * export default app;
 * ```
 */
export function createApp<Bindings extends object = object>(options: AppOptions<Bindings>): Hono<{ Bindings: Bindings }, FathomSchema> {
  const { allowedHosts, apiKeys, cors, rates, ...rest } = checkAppOptions("createApp", options);
  const service = serviceOf(rest);
  const { failures } = service;
  const catalogue = createCatalogue(rest);
  const serving = { catalogue, service };

  // one router of hono's three is enough for a dozen paths, and 2 kB less to upload
  const app = new HonoBase<{ Bindings: Bindings }>({ router: new TrieRouter() });
  app.onError((error, c) => failed(error, c, service.explain));
  app.notFound(unknownPath);
  app.use(requestId(), secureHeaders());
  app.use(rememberMount());
  if (allowedHosts !== undefined) app.use(hostCheck(allowedHosts, { hasCors: cors !== undefined }));
  for (const path of ["/v1/*", "/health", "/ready"]) app.use(path, noStore());
  for (const path of ["/v1/systemone", "/v1/models"]) app.use(path, typeSafeRequestId());
  if (cors !== undefined) app.use(crossOrigin(cors, failures));
  if (apiKeys !== undefined) app.use("/v1/*", keyAuth(apiKeys));
  if (rates !== undefined) for (const path of POSTED) app.post(path, rateLimit(rates));
  for (const path of POSTED) app.post(path, jsonOnly(), door(service));

  app.post("/v1/chat/completions", completionHandler("chat", serving));
  app.post("/v1/completions", completionHandler("text", serving));
  app.post("/v1/embeddings", embeddingsHandler(serving));
  app.post("/v1/decisions", decisionHandler(SHAPES.decisions, serving));
  app.post("/v1/systemone", decisionHandler(SHAPES.systemone, serving));
  const asking = (c: Context<{ Bindings: Bindings }>): Asking<Bindings> => ({ bindings: c.env, host: hostOf(c) });
  app.get("/v1/models", async (c) => c.json(modelList(await catalogue.usable(asking(c)))));
  app.get("/v1/models/:id", async (c) => {
    const found = await catalogue.find(c.req.param("id"), asking(c));
    found.release();
    return c.json(modelDetails(found, service));
  });
  app.get("/health", healthHandler(catalogue, failures));
  app.get("/ready", readyHandler(catalogue, service));
  for (const path of POSTED) app.all(path, wrongMethod("POST"));
  for (const path of READ) app.all(path, wrongMethod("GET, HEAD"));
  app.all("/v1/*", unknownPath); // where the app is mounted, its own notFound is not asked
  return app as Hono<{ Bindings: Bindings }, FathomSchema>;
}

const POSTED = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/decisions", "/v1/systemone"];
const READ = ["/v1/models", "/v1/models/:id", "/health", "/ready"];

declare module "hono" {
  interface ContextVariableMap {
    /** Where a team has mounted the app, as a path without a slash at its end; "" where it stands alone. */
    fathomMount: string;
  }
}

/** Keeps where the app is mounted: as many parts of the request's path as stand before the star of this middleware's. */
function rememberMount(): MiddlewareHandler {
  return async (c, next) => {
    const parts = c.req.routePath.split("/").length - 1; // "/ai/*": two
    c.set("fathomMount", c.req.path.split("/").slice(0, parts).join("/"));
    return next();
  };
}

/** Answers are nobody else's, and the next one may be another. */
function noStore(): MiddlewareHandler {
  return async (c, next) => {
    await next();
    c.res.headers.set("Cache-Control", "no-store");
  };
}

function failed<Bindings extends object>(error: Error, c: Context<{ Bindings: Bindings }>, explain: Explain<Bindings>): Response {
  if (error instanceof HTTPException) {
    const response = error.getResponse();
    return c.newResponse(response.body, response);
  }
  return errorResponse(c, explain(error, c.env, c.get("requestId")));
}

function errorResponse(c: Context, error: ApiError): Response {
  if (error.retryAfterSeconds !== undefined) c.header("Retry-After", String(error.retryAfterSeconds));
  else c.header("x-should-retry", "false"); // the OpenAI SDK would try some of them again
  return c.json(errorBody(error, c.req.path), error.status as 400);
}

function unknownPath(c: Context): Response {
  const base = c.get("fathomMount") ?? "";
  const paths = ["/v1/models", ...POSTED, "/health"].map((path) => base + path);
  return errorResponse(
    c,
    new ApiError(404, "unknown_url", `There is nothing at ${printable(c.req.path)}; see ${paths.join(", ")} and ${base}/ready.`),
  );
}

/** @param methods as the header Allow lists them */
function wrongMethod(methods: string): (c: Context) => Response {
  return (c) => {
    c.header("Allow", methods);
    const message = `${printable(c.req.path)} takes ${methods.replace(", ", " or ")}, not ${printable(c.req.method)}.`;
    return errorResponse(c, new ApiError(405, "method_not_allowed", message));
  };
}
