/**
 * The ONNX backend for Node: onnxruntime-web's Wasm build, on one thread.
 */
import type { WeightSink } from "../engine/model/checkpoint.ts";
import { FathomError } from "../engine/errors.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { ModelFolder } from "../engine/model/folder.ts";
import type { OnnxBackend } from "./backend.ts";
import { createOnnxBackend, openOnnxFolder, type OnnxHost } from "./create.ts";
import type { OnnxFormat } from "./weights.ts";

/** onnxruntime-web is not among Fathom's dependencies. @throws {FathomError} unavailable where it is not installed */
export async function nodeHost(): Promise<OnnxHost> {
  const runtime = await import("onnxruntime-web").catch((error: Error) => {
    throw new FathomError(
      "unavailable",
      `onnxruntime-web is not there (${error.message.split("\n")[0]}); add it with npm install onnxruntime-web.`,
      undefined,
      { cause: error },
    );
  });
  runtime.env.wasm.numThreads = 1;
  runtime.env.logLevel = "error";
  return { runtime };
}

/**
 * `createOnnxBackend` on Node.
 * @throws {FathomError} unavailable where onnxruntime-web is not installed, and whatever `load` finds wrong with the checkpoint
 * @example
 * const model = await loadModel(diskFolder("models/nano"), createNodeOnnxBackend);
 */
export async function createNodeOnnxBackend(
  config: ModelConfig,
  load: (sink: WeightSink) => Promise<void>,
  format: OnnxFormat = "f32",
): Promise<OnnxBackend> {
  return createOnnxBackend(await nodeHost(), config, load, format);
}

/** `openOnnxFolder` on Node. @throws {FathomError} */
export async function openNodeOnnxFolder(folder: ModelFolder): Promise<OnnxBackend> {
  return openOnnxFolder(await nodeHost(), folder);
}
