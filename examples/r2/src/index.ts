/**
 * Models in R2, by the names of their folders: each is loaded at its first request, streamed into memory and checked
 * against the digests in its card on the way.
 */
import { loadModel } from "fathom-edge/engine";
import { createApp } from "fathom-edge/worker";
import { once, r2Folder } from "fathom-edge/worker/model-source";
import { createWorkerBackend } from "fathom-edge/worker/wasm-backend";

interface Env {
  readonly MODELS: R2Bucket;
}

const fromBucket = (folder: string) =>
  once<Env>(({ MODELS }, signal) => loadModel(r2Folder(MODELS, folder, { signal }), createWorkerBackend));

export default createApp<Env>({ models: { nano: fromBucket("nano"), "nano-next": fromBucket("nano-next") } });
