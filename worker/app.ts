/**
 * Fathom's HTTP app: routes and what stands before them. A team mounts it in its own Hono app or serves it alone.
 * Runs wherever Hono does; where models come from is the caller's.
 */
import { Hono, type Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { methodNotAllowed } from "hono/method-not-allowed";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { keyAuth, type ApiKeys } from "./auth.ts";
import type { Limits } from "./budget.ts";
import { createCatalogue, type Asking, type ModelOptions } from "./catalogue.ts";
import { completionHandler } from "./completions.ts";
import { ApiError } from "./errors.ts";
import type { Explain } from "./faults.ts";
import { healthHandler, readyHandler } from "./health.ts";
import { hostOf } from "./host.ts";
import { modelDetails, modelList } from "./models.ts";
import { errorObject } from "./openai.ts";
import { serviceOf, type ServiceOptions } from "./service.ts";

export interface AppOptions<Bindings extends object> extends ModelOptions<Bindings>, ServiceOptions<Bindings> {
  readonly apiKeys?: ApiKeys | undefined;
  readonly cors?: Parameters<typeof cors>[0];
}

/**
 * Creates the app: POST /v1/chat/completions and /v1/completions (plain and SSE), GET /v1/models, /v1/models/{id},
 * /health and /ready, in OpenAI's shapes, with Fathom's `budget` beside them.
 *
 * @param {ModelSource} [options.model] - The one model to serve, named as its card says: a loaded model, or a function
 *   of the bindings that gives one. Either this or `models` is needed.
 * @param {Record<string, ModelSource>} [options.models={}] - Models by name.
 * @param {string[] | ((key, c) => boolean)} [options.apiKeys] - Bearer keys that open /v1, or a function that knows
 *   them. Without it /v1 is open to everyone. /health and /ready always are.
 * @param {CORSOptions} [options.cors] - Options of hono/cors; without it other origins' pages cannot call.
 * @param {number} [options.limits.maxBodyBytes=1048576] - Larger bodies get 413.
 * @param {number} [options.limits.maxCompletionTokens=Infinity] - Ceiling, in tokens, over what a request may ask for.
 * @param {number} [options.limits.maxIterations=Infinity] - Ceiling, in iterations a token, over card and request.
 * @param {Budget} [options.limits.budget={}] - Ceiling over everything else that a request may spend: latencyMs, costUsd, ...
 * @param {(key, c) => Budget | undefined} [options.keyBudget] - What the caller of a bearer key may spend on a request.
 * @param {PriceCard} [options.price=WORKERS] - Turns milliseconds into dollars, for `budget.cost_usd`.
 * @param {Clock} [options.clock] - Milliseconds. [default performance.now, which stands still on Workers during work]
 * @param {(event, bindings) => void} [options.onCompletion] - Told of every completion that has ended.
 * @param {(fault, bindings) => void} [options.onError=console.error] - Told, once, of every failure that is the model's
 *   or the server's; callers see one public sentence of it.
 * @param {() => Promise<void>} [options.breathe] - Awaited between tokens. [default scheduler.wait(0), or setImmediate]
 * @returns {Hono} An app to serve, or to mount: what is refused, logged or limited stays within its own path.
 * @throws {TypeError} if there is no model
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
 * const nano = once<Bindings>(({ ASSETS }, signal) =>
 *   loadModel(assetsFolder(ASSETS, "nano", { signal }), createWorkerBackend),
 * );
 * const app = new Hono<{ Bindings: Bindings }>();
 * app.route("/ai", createApp({ model: nano, limits: { maxIterations: 16 } }));
 * export default app;
 * ```
 */
export function createApp<Bindings extends object = object>(options: AppOptions<Bindings>): Hono<{ Bindings: Bindings }> {
  const service = serviceOf(options);
  const { limits } = service;
  const catalogue = createCatalogue(options);
  const completions = { catalogue, service };

  const app = new Hono<{ Bindings: Bindings }>();
  app.onError((error, c) => failed(error, c, service.explain));
  app.notFound(unknownPath);
  app.use(requestId(), secureHeaders());
  app.use(methodNotAllowed({ app, onMethodNotAllowed: wrongMethod }));
  if (options.cors !== undefined)
    app.use(cors({ exposeHeaders: ["X-Request-Id", "Server-Timing", "Preference-Applied"], ...options.cors }));
  if (options.apiKeys !== undefined) app.use("/v1/*", keyAuth(options.apiKeys));
  app.use("/v1/*", bodyLimit({ maxSize: limits.maxBodyBytes, onError: () => tooLarge(limits) }));

  app.post("/v1/chat/completions", completionHandler("chat", completions));
  app.post("/v1/completions", completionHandler("text", completions));
  const asking = (c: Context<{ Bindings: Bindings }>): Asking<Bindings> => ({ bindings: c.env, host: hostOf(c) });
  app.get("/v1/models", async (c) => c.json(modelList(await catalogue.usable(asking(c)))));
  app.get("/v1/models/:id", async (c) => c.json(modelDetails(await catalogue.find(c.req.param("id"), asking(c)), service)));
  app.get("/health", healthHandler(catalogue));
  app.get("/ready", readyHandler(catalogue, service));
  app.all("/v1/*", unknownPath); // where the app is mounted, its own notFound is not asked
  return app;
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
  return c.json(errorObject(error), error.status as 400);
}

function unknownPath(c: Context): Response {
  return errorResponse(
    c,
    new ApiError(
      404,
      "unknown_url",
      `There is nothing at ${c.req.path}; see /v1/models, /v1/chat/completions, /v1/completions, /health and /ready.`,
    ),
  );
}

function wrongMethod(c: Context, methods: string[]): Response {
  c.header("Allow", methods.join(", "));
  return errorResponse(c, new ApiError(405, "method_not_allowed", `${c.req.path} takes ${methods.join(" or ")}, not ${c.req.method}.`));
}

function tooLarge(limits: Limits): never {
  throw new ApiError(413, "request_too_large", `The body is larger than the ${limits.maxBodyBytes} bytes that this server reads.`);
}
