/**
 * Backends that golden records can run on, by name.
 */
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { createWebGpuBackend, type FoundDevice } from "../../kernels/index.ts";
import { createNodeOnnxBackend } from "../../onnx/node.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { deviceOrSoftware } from "../kernels/software.ts";
import type { BackendFactory } from "./case.ts";

const FACTORIES: Readonly<Record<string, BackendFactory>> = {
  reference: createReferenceBackend,
  wasm: (config, load) => createNodeWasmBackend(config, load),
  onnx: (config, load) => createNodeOnnxBackend(config, load),
};

/** Those that every machine has. */
export const BACKENDS: readonly string[] = Object.keys(FACTORIES);

let found: Promise<FoundDevice> | undefined;

/** On this machine's GPU, or on one made of its CPU. */
const webgpu: BackendFactory = async (config, load) => {
  const { device, languageFeatures } = await (found ??= deviceOrSoftware());
  return createWebGpuBackend(device, { languageFeatures })(config, load);
};

export const ALL_BACKENDS: readonly string[] = [...BACKENDS, "webgpu"];

export function backendFactory(name: string): BackendFactory {
  return name === "webgpu" ? webgpu : FACTORIES[name]!;
}
