/**
 * Backends that golden records can run on, by name.
 */
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { createNodeOnnxBackend } from "../../onnx/node.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import type { BackendFactory } from "./case.ts";

const FACTORIES: Readonly<Record<string, BackendFactory>> = {
  reference: createReferenceBackend,
  wasm: (config, load) => createNodeWasmBackend(config, load),
  onnx: (config, load) => createNodeOnnxBackend(config, load),
};

export const BACKENDS: readonly string[] = Object.keys(FACTORIES);

export function backendFactory(name: string): BackendFactory {
  return FACTORIES[name]!;
}
