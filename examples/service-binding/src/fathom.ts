/** The Worker with the model: an entrypoint for other Workers, and nothing for the world. */
import { loadModel } from "fathom-edge/engine";
import { assetsFolder, once } from "fathom-edge/worker/model-source";
import { createEntrypoint } from "fathom-edge/worker/rpc";
import { createWorkerBackend } from "fathom-edge/worker/wasm-backend";

interface Env {
  readonly ASSETS: Fetcher;
}

const nano = once<Env>(({ ASSETS }, signal) => loadModel(assetsFolder(ASSETS, "nano", { signal }), createWorkerBackend));

export class Fathom extends createEntrypoint<Env>({ model: nano, limits: { maxIterations: 32 } }) {}

export default { fetch: () => new Response("Call the entrypoint Fathom by a service binding.", { status: 404 }) };
