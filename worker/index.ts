/**
 * The Worker: composes the app with the Wasm backend and a model from static assets. Other Workers build their own
 * from the same parts.
 */
import { env } from "cloudflare:workers";
import { loadModel } from "../engine/port/model.ts";
import { readBindings, type Bindings } from "./bindings.ts";
import { createApp, type AppOptions } from "./app.ts";
import { assetsFolder, once } from "./model-source.ts";
import { createEntrypoint } from "./rpc.ts";
import { workLine, writeDataPoint } from "./telemetry.ts";
import { createWorkerBackend } from "./wasm-backend.ts";

const { MODEL, API_KEYS, RATES, ALLOWED_HOSTS, LOG_WORK, ALIASES } = readBindings(env);

const options: AppOptions<Bindings> = {
  model: once(({ ASSETS }, signal, origin) => loadModel(assetsFolder(ASSETS, MODEL, { signal, origin }), createWorkerBackend)),
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
/** The page to try the models with, where the deployment has it among its assets. */
app.get("/", async (c) => {
  const page = await c.env.ASSETS.fetch(new URL("/", c.req.url));
  return page.ok ? c.newResponse(page.body, page) : c.notFound();
});

export default app;
