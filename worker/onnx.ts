/**
 * The same app over onnxruntime-web, as a Worker of its own: its runtime alone is 14 MB, so it never shares a bundle with
 * the Wasm core. MODEL names a model folder, whose graphs are made when it is loaded, or one that `fathom export` wrote.
 */
import module from "onnxruntime-web/ort-wasm-simd-threaded.wasm";
import { env } from "cloudflare:workers";
import { loadModel } from "../engine/port/model.ts";
import { createOnnxBackend, openOnnxFolder } from "../onnx/create.ts";
import { isExported } from "../onnx/folder.ts";
import { workerdHost } from "../onnx/workerd.ts";
import { createApp } from "./app.ts";
import { assetsFolder, once } from "./model-source.ts";
import { createEntrypoint } from "./rpc.ts";

interface Bindings {
  /** The folder models/. */
  readonly ASSETS: Fetcher;
  /** Name of the folder to serve, within it. */
  readonly MODEL: string;
  /** Secret: keys that open /v1, separated by commas. Without it everyone may call. */
  readonly API_KEYS?: string;
}

const host = workerdHost(module);
const { API_KEYS } = env as unknown as Bindings;

const options = {
  model: once<Bindings>(async ({ ASSETS, MODEL }, signal) => {
    const folder = assetsFolder(ASSETS, MODEL, { signal });
    const exported = await isExported(folder);
    return loadModel(folder, (config, load) => (exported ? openOnnxFolder(host, folder) : createOnnxBackend(host, config, load)));
  }),
  apiKeys: API_KEYS?.split(",").map((key) => key.trim()),
};

/** For other Workers of the account: `env.FATHOM.run("nano", { messages })`. */
export class Fathom extends createEntrypoint(options) {}

export default createApp(options);
