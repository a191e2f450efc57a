/**
 * The model: loaded once an isolate, at the first request, from assets that the Worker alone can read.
 */
import { loadModel } from "fathom-edge/engine";
import { assetsFolder, once } from "fathom-edge/worker/model-source";
import { createWorkerBackend } from "fathom-edge/worker/wasm-backend";

/** A folder of assets/. */
export const MODEL = "{{model}}";

export const model = once<Cloudflare.Env>(({ ASSETS }, signal, origin) =>
  loadModel(assetsFolder(ASSETS, MODEL, { signal, origin }), createWorkerBackend),
);
