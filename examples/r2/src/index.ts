/**
 * Models in R2, by the names of their folders, that share the memory of an isolate: each is loaded when a request asks for
 * it, streamed into memory and checked against the digests in its card on the way; where room is wanted, whichever was
 * asked for longest ago goes, if it is answering nobody.
 */
import { loadModel } from "fathom-edge/engine";
import { createApp } from "fathom-edge/worker";
import { modelPool, r2Folder } from "fathom-edge/worker/model-source";
import { workerMemory } from "fathom-edge/worker/wasm-backend";

interface Env {
  readonly MODELS: R2Bucket;
}

const models = modelPool<Env>(
  ["nano", "nano-next"],
  ({ name, createBackend, bindings: { MODELS }, signal }) => loadModel(r2Folder(MODELS, name, { signal }), createBackend),
  workerMemory(),
);

export default createApp<Env>({ models });
