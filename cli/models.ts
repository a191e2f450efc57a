/**
 * Loading a model folder on Node, into the backend that the user named.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Backend } from "../engine/backend.ts";
import { FathomError } from "../engine/errors.ts";
import { loadModel, type BackendFactory, type Model } from "../engine/model/model.ts";
import { createReferenceBackend } from "../engine/reference/backend.ts";
import { createNodeWasmBackend } from "../wasm/node.ts";
import { diskFolder } from "./files.ts";

export const BACKENDS = ["wasm", "reference"] as const;
export type NodeBackend = (typeof BACKENDS)[number];

const FACTORIES: Readonly<Record<NodeBackend, BackendFactory>> = {
  wasm: createNodeWasmBackend,
  reference: createReferenceBackend,
};

/** The shipped models, at the package's root: beside cli/, or beside dist/ where the code was compiled. */
const SHIPPED = ["../models/", "../../models/"].map((path) => fileURLToPath(new URL(path, import.meta.url)));
export const DEFAULT_MODEL = "nano";

/** @param model a folder, or the name of a shipped model. @throws {FathomError} */
export async function loadNodeModel(model: string, backend: NodeBackend): Promise<Model<Backend>> {
  return loadModel(diskFolder(modelPath(model)), FACTORIES[backend]);
}

export function modelPath(model: string): string {
  const candidates = [resolve(model), ...SHIPPED.map((folder) => join(folder, model))];
  const found = candidates.find((path) => existsSync(join(path, "config.json")));
  if (found === undefined)
    throw new FathomError(
      "invalid_request",
      `No model at ${model}: expected a folder with config.json, model.safetensors and tokenizer.json, or the name of a shipped model (${DEFAULT_MODEL}).`,
      "--model",
    );
  return found;
}
