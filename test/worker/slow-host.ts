/**
 * A Worker whose weights come slowly, for test/workerd/loading.test.ts: under /kept the host may finish a load whose
 * caller has gone, under /cut the load dies with its request, and
 * under /polled the load that /cut-polled began is looked after.
 */
import { Hono } from "hono";
import { loadModel } from "../../engine/port/model.ts";
import { createApp } from "../../worker/app.ts";
import { shareModel } from "../../worker/loading.ts";
import { assetsFolder } from "../../worker/model-source.ts";
import { createWorkerBackend } from "../../worker/wasm-backend.ts";

interface Bindings {
  readonly ASSETS: Fetcher;
}

/** How long the weights let themselves be waited for, in milliseconds. */
const SLOWNESS_MS = 800;

const loads = { kept: 0, cut: 0, polled: 0 };

const slow = (name: keyof typeof loads) =>
  createApp<Bindings>({
    model: shareModel(
      async ({ ASSETS }, signal) => {
        loads[name]++;
        await scheduler.wait(SLOWNESS_MS);
        return loadModel(assetsFolder(ASSETS, "nano", { signal }), createWorkerBackend);
      },
      { beatMs: 100 },
    ),
  });

const [kept, cut, polled] = [slow("kept"), slow("cut"), slow("polled")];
const app = new Hono<{ Bindings: Bindings }>();
app.get("/loads", (c) => c.json(loads));
app.mount("/kept", (request, env, ctx) => kept.fetch(request, env, ctx));
app.mount("/cut", (request, env) => cut.fetch(request, env as Bindings)); // no context: nothing outlives the request
app.mount("/cut-polled", (request, env) => polled.fetch(request, env as Bindings));
app.mount("/polled", (request, env, ctx) => polled.fetch(request, env, ctx));
export default app;
