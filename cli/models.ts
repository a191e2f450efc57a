/**
 * Loading a model folder on Node, into the backend that the user named.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Backend } from "../engine/port/backend.ts";
import { FathomError } from "../engine/errors.ts";
import type { ModelFolder } from "../engine/model/folder.ts";
import { loadModel, type BackendFactory, type Model } from "../engine/port/model.ts";
import type { NodeWasmOptions } from "../wasm/node.ts";
import { MOST_THREADS } from "../wasm/node-threads.ts";
import { memoryBytes, wholeNumber } from "./arguments.ts";
import { diskFolder } from "./files.ts";
import { hasBase, holdsGraphs } from "./model-files.ts";
import { withReports } from "./progress.ts";
import { DEFAULT_MODEL, SHIPPED } from "./shipped.ts";
import { watchedFolder } from "./watched-folder.ts";

export { DEFAULT_MODEL };

/** auto: WebGPU where Dawn finds a device that is not software, Wasm where not. */
export const BACKENDS = ["wasm", "webgpu", "auto", "onnx", "reference"] as const;
export type NodeBackend = (typeof BACKENDS)[number];

/** The options of commands that load a model: what its Wasm core may take. */
export const CORE = {
  memory: {
    type: "string",
    description: "most memory for weights and requests of the Wasm core, such as 2GiB [what the machine has free, up to 4GiB]",
  },
  threads: {
    type: "string",
    description: "threads that the Wasm core computes by, 1 to 64 [1 for a small model, else as many as there are cores, up to 4]",
  },
} as const;

/** Values of the options of `CORE`. */
export type CoreArgs = { readonly [Option in keyof typeof CORE]?: string | undefined };

/** What a backend is made from. */
interface Loading {
  readonly folder: ModelFolder;
  readonly core: Pick<NodeWasmOptions, "limitBytes" | "threads">;
}

/** Backends are loaded when asked for: their runtimes are large. */
const FACTORIES: Readonly<Record<NodeBackend, (loading: Loading) => Promise<BackendFactory>>> = {
  async wasm({ core }) {
    const { createNodeWasmBackend } = await import("../wasm/node.ts");
    return (config, load) => createNodeWasmBackend(config, load, core);
  },
  webgpu: (loading) => gpuFactory(true, loading),
  auto: (loading) => gpuFactory(false, loading),
  onnx: ({ folder }) => onnxFactory(folder),
  reference: async () => (await import("../engine/reference/backend.ts")).createReferenceBackend,
};

/** Graphs that `fathom export` wrote run as they are; a checkpoint's are made in memory. */
async function onnxFactory(folder: ModelFolder): Promise<BackendFactory> {
  const { createNodeOnnxBackend, openNodeOnnxFolder } = await import("../onnx/node.ts");
  return holdsGraphs(folder.name) ? () => openNodeOnnxFolder(folder) : (config, load) => createNodeOnnxBackend(config, load);
}

/** WebGPU with Wasm behind it, from the start where there is no device, later where it goes away. */
async function gpuFactory(isRequired: boolean, { core }: Loading): Promise<BackendFactory> {
  const { createNodeWasmBackend } = await import("../wasm/node.ts");
  const { gpuFirst } = await import("../kernels/index.ts");
  const { nodeDevice } = await import("../kernels/node.ts");
  const probe = await nodeDevice();
  if ("missing" in probe && isRequired)
    throw new FathomError("unavailable", `No WebGPU here, because ${probe.missing}. Use --backend auto or wasm.`, "--backend");
  const wasm: BackendFactory = (config, load) => createNodeWasmBackend(config, load, { kv: "f32", ...core });
  return gpuFirst(probe, wasm, console.error, { allowSoftware: isRequired, allowedBy: "--backend webgpu" });
}

/** Backends with a Wasm core, which the options are for. */
const WITH_WASM: readonly NodeBackend[] = ["wasm", "webgpu", "auto"];

/**
 * @param model a folder, or the name of a shipped model
 * @param args values of `--memory` and `--threads` [default what the machine has]
 * @throws {FathomError}
 */
export async function loadNodeModel(model: string, backend: NodeBackend, args: CoreArgs = {}): Promise<Model<Backend>> {
  const core = coreOptions(backend, args);
  const folder = diskFolder(modelPath(model), console.error);
  if (backend !== "onnx" && holdsGraphs(folder.name))
    throw new FathomError("invalid_request", `${folder.name} holds ONNX graphs and no other weights; use --backend onnx.`, "--backend");
  const factory = await FACTORIES[backend]({ folder, core });
  return withReports("MB of the model read", (report) => loadModel(watchedFolder(folder, report), factory));
}

/** @throws {FathomError} invalid_request: a wrong value, or one for a backend without a Wasm core */
function coreOptions(backend: NodeBackend, { memory, threads }: CoreArgs): Loading["core"] {
  const given = Object.entries({ "--memory": memory, "--threads": threads }).find(([, value]) => value !== undefined)?.[0];
  if (given !== undefined && !WITH_WASM.includes(backend))
    throw new FathomError(
      "invalid_request",
      `${given} is for the Wasm core; --backend ${backend} has none, and takes what it needs. Leave it away, or use --backend wasm.`,
      given,
    );
  return {
    ...(memory !== undefined && { limitBytes: memoryBytes("--memory", memory) }),
    ...(threads !== undefined && { threads: wholeNumber("--threads", threads, 1, MOST_THREADS) }),
  };
}

export function modelPath(model: string): string {
  const candidates = [resolve(model), ...SHIPPED.map((folder) => join(folder, model))];
  const found = candidates.find((path) => existsSync(join(path, "config.json")) || hasBase(path));
  if (found === undefined)
    throw new FathomError(
      "invalid_request",
      `No model at ${model}: expected a folder with config.json, model.safetensors and tokenizer.json, or the name of a shipped model (${DEFAULT_MODEL}).`,
      "--model",
    );
  return found;
}
