/**
 * A Worker that counts, for test/workerd/hang-up.test.ts: the shipped model without an end of its own, how many
 * iterations it has run, how many aborts and finished answers there were, and what is held for requests.
 */
import { Hono } from "hono";
import { loadModel, type Model } from "../../engine/port/model.ts";
import { createApp } from "../../worker/app.ts";
import { hostClock } from "../../worker/host.ts";
import { assetsFolder, once } from "../../worker/model-source.ts";
import { sharedBy } from "../../worker/schedulers.ts";
import { createWorkerBackend } from "../../worker/wasm-backend.ts";

interface Bindings {
  readonly ASSETS: Fetcher;
}

const seen = { iterations: 0, aborts: 0, finished: 0 };
let model: Model | undefined;

async function load({ ASSETS }: Bindings, signal: AbortSignal): Promise<Model> {
  const loaded = await loadModel(assetsFolder(ASSETS, "nano", { signal }), createWorkerBackend);
  const { backend } = loaded;
  const iterate = backend.iterate.bind(backend);
  backend.iterate = (rows) => {
    seen.iterations++;
    return iterate(rows);
  };
  model = { ...loaded, config: { ...loaded.config, eosTokens: [] } };
  return model;
}

const fathom = createApp<Bindings>({ model: once(load), onCompletion: () => void seen.finished++ });

const app = new Hono<{ Bindings: Bindings }>();
app.get("/seen", (c) => {
  const { "kv cache": cache = 0, rows = 0 } = model?.backend.memory().owners ?? {};
  const reservations = model === undefined ? 0 : sharedBy(model, hostClock).sharedBudget.admission.taken;
  return c.json({ ...seen, heldBytes: cache + rows, reservations });
});
app.mount("/fathom", (request, env, ctx) => {
  request.signal.addEventListener("abort", () => seen.aborts++);
  return fathom.fetch(request, env, ctx);
});
export default app;
