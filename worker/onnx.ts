/**
 * The app over onnxruntime-web, as a Worker of its own: its runtime alone is 14 MB, so it never shares a bundle with
 * the Wasm core. MODEL names a model folder, whose graphs are made when it is loaded, or one that `fathom export` wrote.
 */
import module from "onnxruntime-web/ort-wasm-simd-threaded.wasm";
import { env } from "cloudflare:workers";
import { loadModel } from "../engine/port/model.ts";
import { createOnnxBackend, openOnnxFolder } from "../onnx/create.ts";
import { isExported } from "../onnx/folder.ts";
import { workerdHost } from "../onnx/workerd.ts";
import { readBindings, type Bindings } from "./bindings.ts";
import { createApp } from "./app.ts";
import { assetsFolder, once } from "./model-source.ts";
import { createEntrypoint } from "./rpc.ts";

const host = workerdHost(module);
const { MODEL, API_KEYS, RATES, ALLOWED_HOSTS } = readBindings(env);

const options = {
  model: once<Bindings>(async ({ ASSETS }, signal, origin) => {
    const folder = assetsFolder(ASSETS, MODEL, { signal, origin });
    const exported = await isExported(folder);
    return loadModel(folder, (config, load) => (exported ? openOnnxFolder(host, folder) : createOnnxBackend(host, config, load)));
  }),
  apiKeys: API_KEYS,
  rates: RATES,
  allowedHosts: ALLOWED_HOSTS,
};

/** The entrypoint for other Workers of the account: `env.FATHOM.run("nano", { messages })`. */
export class Fathom extends createEntrypoint(options) {}

export default createApp(options);
