/**
 * The Wasm backend for Node: reads the build that this host can run from wasm/build.
 */
import { readFile } from "node:fs/promises";
import { FathomError } from "../engine/errors.ts";
import type { WeightSink } from "../engine/model/checkpoint.ts";
import type { QuantiseTiles } from "../engine/model/quantise.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { WasmBackend } from "./backend.ts";
import { wasmQuantiser } from "./convert.ts";
import { createWasmBackend, type WasmBackendOptions } from "./create.ts";
import { regressionFactory, type RegressionFactory } from "./regression.ts";
import { supportsRelaxedSimd } from "./select.ts";

export type WasmBuild = "relaxed" | "simd" | "convert" | "regression";

/** Compiles a build. @throws {FathomError} unavailable where it has not been made */
export async function readWasmModule(build: WasmBuild = supportsRelaxedSimd() ? "relaxed" : "simd"): Promise<WebAssembly.Module> {
  const bytes = await readFile(new URL(`build/${build}.wasm`, import.meta.url)).catch((cause: unknown) => {
    throw new FathomError("unavailable", `wasm/build/${build}.wasm is missing; make it with npm run build:wasm.`, undefined, { cause });
  });
  return WebAssembly.compile(bytes);
}

/**
 * `createWasmBackend` with the best build for this host.
 * @param load streams the checkpoint into the sink it is given (see `readCheckpoint`)
 * @throws {FathomError} unavailable, out_of_memory, and whatever `load` finds wrong with the checkpoint
 * @example
 * const model = await loadModel(diskFolder("models/nano"), (config, load) => createNodeWasmBackend(config, load, { kv: "f32" }));
 */
export async function createNodeWasmBackend(
  config: ModelConfig,
  load: (sink: WeightSink) => Promise<void>,
  options: Omit<WasmBackendOptions, "module" | "config" | "load"> = {},
): Promise<WasmBackend> {
  return createWasmBackend({ ...options, module: await readWasmModule(), config, load });
}

/** Products for fitting labels. @throws {FathomError} unavailable where the build has not been made */
export async function nodeRegression(): Promise<RegressionFactory> {
  return regressionFactory(await readWasmModule("regression"));
}

/** The fast quantiser for `convertingSink`. @throws {FathomError} unavailable where it has not been built */
export async function nodeQuantiser(): Promise<QuantiseTiles> {
  return wasmQuantiser(await readWasmModule("convert"));
}
