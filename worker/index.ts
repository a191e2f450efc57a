/**
 * The Worker: composes the app with the Wasm backend and a model from static assets. Other Workers build their own
 * from the same parts.
 */
import { env } from "cloudflare:workers";
import { loadModel } from "../engine/port/model.ts";
import { createApp, type AppOptions } from "./app.ts";
import { assetsFolder, once } from "./model-source.ts";
import { createEntrypoint } from "./rpc.ts";
import { workLine, writeDataPoint } from "./telemetry.ts";
import { createWorkerBackend } from "./wasm-backend.ts";

interface Bindings {
  /** The folder models/. */
  readonly ASSETS: Fetcher;
  /** Name of the folder to serve, within it. */
  readonly MODEL: string;
  /** Secret: keys that open /v1, separated by commas. Without it everyone may call. */
  readonly API_KEYS?: string;
  /** A data point a completion goes here, where it is bound. */
  readonly ANALYTICS?: AnalyticsEngineDataset;
  /** "true": one line a completion goes to the log, for the Tail Worker. */
  readonly LOG_WORK?: string;
}

const { API_KEYS } = env as unknown as Bindings;

const options: AppOptions<Bindings> = {
  model: once(({ ASSETS, MODEL }, signal) => loadModel(assetsFolder(ASSETS, MODEL, { signal }), createWorkerBackend)),
  apiKeys: API_KEYS?.split(",").map((key) => key.trim()),
  onCompletion(event, { ANALYTICS, LOG_WORK }) {
    writeDataPoint(ANALYTICS, event);
    if (LOG_WORK === "true") console.log(workLine(event));
  },
};

/** For other Workers of the account: `env.FATHOM.run("nano", { messages })`. */
export class Fathom extends createEntrypoint(options) {}

export default createApp(options);
