/**
 * The Wasm backend for Workers, where modules are compiled at deployment: the build with relaxed SIMD alone, which every
 * workerd of these compatibility dates compiles, and without which a Worker that imports it would not start at all. The
 * app never sees this file: other hosts bring their own factory.
 */
import type { WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { ModelMemory } from "../engine/port/model-memory.ts";
import type { WasmBackend } from "../wasm/backend.ts";
import { createWasmBackend } from "../wasm/create.ts";
import { sharedWasm } from "../wasm/shared.ts";
import relaxed from "../wasm/build/relaxed.wasm";

/**
 * Loads a model into the Wasm backend in a Worker, with the build for workerd.
 * @param load streams the checkpoint into the sink it is given (see `readCheckpoint`)
 * @throws {FathomError} out_of_memory, unavailable, and whatever `load` finds wrong with the checkpoint
 * @example
 * const model = await loadModel(assetsFolder(env.ASSETS, "nano"), createWorkerBackend);
 */
export function createWorkerBackend(config: ModelConfig, load: (sink: WeightSink) => Promise<void>): Promise<WasmBackend> {
  return createWasmBackend({ module: relaxed, config, load, bounds: "code" }); // workerd checks bounds in code
}

/**
 * The memory of an isolate, 96 MiB, for the several models of a `modelPool`.
 * @example
 * const models = modelPool(["nano", "decider"], load, workerMemory());
 */
export function workerMemory(): ModelMemory {
  return sharedWasm({ module: relaxed, bounds: "code" });
}
