/**
 * The Wasm backend for Node: reads the build that this host can run from wasm/build.
 */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { FathomError } from "../engine/errors.ts";
import type { WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { WasmBackend } from "./backend.ts";
import { createWasmBackend, type WasmBackendOptions } from "./create.ts";
import type { ReplaceKernels } from "./kernels.ts";
import { MOST_THREADS, nodeThreads } from "./node-threads.ts";
import { regressionFactory, type RegressionFactory } from "./regression.ts";
import { supportsRelaxedSimd } from "./select.ts";
import { overSharedMemory } from "./shared-module.ts";
import { checkThreads, shareTiles, threadsFor } from "./threads.ts";

export type WasmBuild = "relaxed" | "simd" | "convert" | "regression";

/** Compiles a build. @throws {FathomError} unavailable where it has not been made */
export async function readWasmModule(build: WasmBuild = bestBuild()): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readBuild(build));
}

function bestBuild(): WasmBuild {
  return supportsRelaxedSimd() ? "relaxed" : "simd";
}

/** Bytes of a build. @throws {FathomError} unavailable where it has not been made */
export async function readBuild(build: WasmBuild): Promise<Uint8Array<ArrayBuffer>> {
  return readFile(new URL(`build/${build}.wasm`, import.meta.url)).catch((cause: unknown) => {
    throw new FathomError("unavailable", `wasm/build/${build}.wasm is missing; make it with npm run build:wasm.`, undefined, { cause });
  });
}

/** Options of `createWasmBackend`, and by how many threads products are computed. */
export interface NodeWasmOptions extends Omit<WasmBackendOptions, "module" | "config" | "load" | "share"> {
  /** Threads that compute products, from 1 to 64. [default `defaultThreads`] */
  readonly threads?: number;
}

/** Threads for a model on this machine: one where it is small, else as many as there are cores, up to four. */
export function defaultThreads(config: ModelConfig): number {
  return threadsFor(config, availableParallelism());
}

/**
 * `createWasmBackend` with the best build for this host, and threads where the model is large. Results are the same bits
 * by any number of threads.
 * @param load streams the checkpoint into the sink it is given (see `readCheckpoint`)
 * @throws {FathomError} unavailable, out_of_memory, and whatever `load` finds wrong with the checkpoint
 * @example
 * const model = await loadModel(diskFolder("models/nano"), (config, load) => createNodeWasmBackend(config, load, { kv: "f32" }));
 */
export async function createNodeWasmBackend(
  config: ModelConfig,
  load: (sink: WeightSink) => Promise<void>,
  { threads = defaultThreads(config), ...options }: NodeWasmOptions = {},
): Promise<WasmBackend> {
  checkThreads("createNodeWasmBackend", threads, MOST_THREADS);
  if (threads === 1) return createWasmBackend({ ...options, module: await readWasmModule(), config, load });
  const module = await WebAssembly.compile(overSharedMemory(await readBuild(bestBuild())));
  const share: ReplaceKernels = (kernels, arena) => shareTiles(nodeThreads(threads), module, kernels, arena, options.bounds ?? "pages");
  return createWasmBackend({ ...options, module, config, load, share });
}

/** Products for fitting labels. @throws {FathomError} unavailable where the build has not been made */
export async function nodeRegression(): Promise<RegressionFactory> {
  return regressionFactory(await readWasmModule("regression"));
}
