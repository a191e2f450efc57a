/**
 * Backends that golden records can run on, by name.
 */
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { createWebGpuBackend } from "../../kernels/index.ts";
import { nodeDevice } from "../../kernels/node.ts";
import { createNodeOnnxBackend } from "../../onnx/node.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import type { BackendFactory } from "./case.ts";

const FACTORIES: Readonly<Record<string, BackendFactory>> = {
  reference: createReferenceBackend,
  wasm: (config, load) => createNodeWasmBackend(config, load),
  onnx: (config, load) => createNodeOnnxBackend(config, load),
};

/** Those that every machine has. */
export const BACKENDS: readonly string[] = Object.keys(FACTORIES);

/** Needs a device; test/kernels/swiftshader.sh makes one of the CPU. */
const webgpu: BackendFactory = async (config, load) => {
  const probe = await nodeDevice();
  if ("missing" in probe) throw new Error(`No WebGPU here, because ${probe.missing}.`);
  return createWebGpuBackend(probe.found.device, { languageFeatures: probe.found.languageFeatures })(config, load);
};

export const ALL_BACKENDS: readonly string[] = [...BACKENDS, "webgpu"];

export function backendFactory(name: string): BackendFactory {
  return name === "webgpu" ? webgpu : FACTORIES[name]!;
}
