/**
 * The Worker: composes the app with the Wasm backend and a model from static assets. Other Workers build their own
 * from the same parts.
 */
import { env } from "cloudflare:workers";
import { loadModel } from "../engine/port/model.ts";
import { readBindings, type Bindings } from "./bindings.ts";
import { createApp, type AppOptions } from "./app.ts";
import { assetsFolder, atPaceOfTraffic, once } from "./model-source.ts";
import { createEntrypoint } from "./rpc.ts";
import { workLine, writeDataPoint } from "./telemetry.ts";
import { createWorkerBackend } from "./wasm-backend.ts";

const { MODEL, API_KEYS, RATES, ALLOWED_HOSTS, LOG_WORK, ALIASES } = readBindings(env);

const options: AppOptions<Bindings> = {
  model: once(async ({ ASSETS, CALIBRATION }, signal, origin) =>
    atPaceOfTraffic(await loadModel(assetsFolder(ASSETS, MODEL, { signal, origin }), createWorkerBackend), CALIBRATION),
  ),
  aliases: ALIASES,
  apiKeys: API_KEYS,
  rates: RATES,
  allowedHosts: ALLOWED_HOSTS,
  onCompletion(event, { ANALYTICS }) {
    if (LOG_WORK) console.log(workLine(event));
    writeDataPoint(ANALYTICS, event);
  },
};

/** The entrypoint for other Workers of the account: `env.FATHOM.run("nano", { messages })`. */
export class Fathom extends createEntrypoint(options) {}

const app = createApp(options);
/** The page to try the models with and the API's description, where the deployment has them among its assets. */
for (const path of ["/", "/openapi.json"])
  app.get(path, async (c) => {
    const asset = await c.env.ASSETS.fetch(new URL(path, c.req.url));
    return asset.ok ? c.newResponse(asset.body, asset) : c.notFound();
  });

export default app;
