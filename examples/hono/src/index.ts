/**
 * Fathom's API inside an app of your own, at /ai with its OpenAPI document, and a route of the app's own that asks the
 * model in the same isolate.
 */
import { Hono } from "hono";
import { answer, loadModel } from "fathom-edge/engine";
import openApi from "fathom-edge/openapi.json";
import { createApp } from "fathom-edge/worker";
import { assetsFolder, once } from "fathom-edge/worker/model-source";
import { createWorkerBackend } from "fathom-edge/worker/wasm-backend";

interface Env {
  readonly ASSETS: Fetcher;
}

const nano = once<Env>(({ ASSETS }, signal, origin) => loadModel(assetsFolder(ASSETS, "nano", { signal, origin }), createWorkerBackend));

const app = new Hono<{ Bindings: Env }>()
  .get("/", (c) => c.text("Ask at /ai/v1/chat/completions, or at /last-digit/7/5."))
  .get("/last-digit/:a/:b", async (c) => {
    const model = await nano(c.env, c.executionCtx);
    const prompt = model.text.encodeChat([
      { role: "user", content: `Start with ${c.req.param("a")}. Add ${c.req.param("b")}. What is the last digit?` },
    ]);
    const { card } = model;
    const options = { prompt, maxTokens: 8, iterations: card.iterations, exit: card.exitRule, cache: card.cacheStrategy };
    let text = "";
    for await (const piece of answer(model, options)) text += piece.text;
    return c.json({ answer: text.trim() });
  })
  .get("/ai/openapi.json", (c) => c.json(openApi as object))
  .route("/ai", createApp<Env>({ model: nano, limits: { maxIterations: 32 } }));

/** The app's routes, for Hono's client (client.ts). */
export type AppType = typeof app;

export default app;
