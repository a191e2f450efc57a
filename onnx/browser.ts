/**
 * The ONNX backend for browsers: on WebGPU where there is an adapter that runs the graphs, else on one thread of Wasm.
 * The page must be able to fetch the runtime's .wasm (`wasmPaths` of onnxruntime-web; bundlers see to it).
 */
import * as runtime from "onnxruntime-web/webgpu";
import type { WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { OnnxBackend, OnnxBackendOptions } from "./backend.ts";
import { createOnnxBackend } from "./create.ts";
import type { Provider } from "./session.ts";
import type { OnnxFormat } from "./weights.ts";

/** Options of the ONNX backend in a page. */
export interface BrowserOptions extends OnnxBackendOptions {
  /** Weights in the graphs; int8 has no WebGPU kernels and runs on Wasm. [default "f32"] */
  readonly format?: OnnxFormat;
  /** Where to compute. [default WebGPU where it works, else Wasm] */
  readonly provider?: Provider;
  /** Called with the reason why WebGPU is not used. [default nobody] */
  readonly onFallback?: (reason: string) => void;
}

/**
 * `createOnnxBackend` in a browser. `load` is called once more if WebGPU turns out not to run the graphs.
 * @throws {FathomError} unavailable, and whatever `load` finds wrong with the checkpoint
 * @example
 * const backend = await createBrowserOnnxBackend(config, (sink) => readWeights(folder, config, sink));
 * console.log(backend.provider);
 */
export async function createBrowserOnnxBackend(
  config: ModelConfig,
  load: (sink: WeightSink) => Promise<void>,
  { format = "f32", provider, onFallback = () => {}, ...options }: BrowserOptions = {},
): Promise<OnnxBackend> {
  runtime.env.wasm.numThreads = 1;
  runtime.env.logLevel = "error";
  const create = (where: Provider): Promise<OnnxBackend> =>
    createOnnxBackend({ ...options, runtime, provider: where }, config, load, format);
  if (provider !== undefined) return create(provider);
  const missing = format === "int8" ? "int8 graphs run on Wasm" : await whyNoWebGpu();
  if (missing === undefined)
    try {
      return await create("webgpu");
    } catch (error) {
      onFallback((error as Error).message);
      return create("wasm");
    }
  onFallback(missing);
  return create("wasm");
}

interface Gpu {
  requestAdapter(): Promise<object | null>;
}

async function whyNoWebGpu(): Promise<string | undefined> {
  const { gpu } = globalThis.navigator as { gpu?: Gpu };
  if (gpu === undefined) return "this browser has no WebGPU, or the page is not a secure context";
  const adapter = await gpu.requestAdapter().catch(() => null);
  return adapter === null ? "there is no WebGPU adapter (no GPU, or no driver for it)" : undefined;
}
