/**
 * The Wasm backend for pages, Deno and workers of browsers: fetches the build that this host can run. Bundlers that know
 * `new URL(file, import.meta.url)`, as Vite and webpack do, ship the builds by themselves; for others name their URLs.
 */
import { FathomError } from "../engine/errors.ts";
import type { WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { createWasmBackend, type WasmBackendOptions } from "./create.ts";
import type { WasmBackend } from "./backend.ts";
import { supportsRelaxedSimd } from "./select.ts";

/** Options of `createWasmBackend`, and where the builds are. */
export interface BrowserWasmOptions extends Omit<WasmBackendOptions, "module" | "config" | "load"> {
  /** URL of relaxed.wasm. [default beside this module] */
  readonly relaxed?: string | URL;
  /** URL of simd.wasm, for hosts without relaxed SIMD. [default beside this module] */
  readonly simd?: string | URL;
}

/**
 * A backend for `loadModel`. The build is fetched when a model is loaded.
 *
 * @param {string | URL} [options.relaxed] - Where relaxed.wasm is, if not beside this module.
 * @param {string | URL} [options.simd] - Where simd.wasm is, if not beside this module.
 * @returns a function that throws FathomError unavailable where the build cannot be had, out_of_memory, and whatever is
 *   wrong with the checkpoint
 * @example
 * ```ts
 * const model = await loadModel(urlFolder("/models/nano/"), browserWasm());
 * ```
 */
export function browserWasm({
  relaxed = new URL("./build/relaxed.wasm", import.meta.url),
  simd = new URL("./build/simd.wasm", import.meta.url),
  ...options
}: BrowserWasmOptions = {}): (config: ModelConfig, load: (sink: WeightSink) => Promise<void>) => Promise<WasmBackend> {
  return async (config, load) =>
    createWasmBackend({ ...options, module: await compiled(supportsRelaxedSimd() ? relaxed : simd), config, load });
}

/** @throws {FathomError} unavailable */
async function compiled(url: string | URL): Promise<WebAssembly.Module> {
  const refuse = (why: string, cause?: unknown): FathomError =>
    new FathomError(
      "unavailable",
      `The Wasm build at ${url} cannot be used: ${why}. Name where it is: browserWasm({ relaxed, simd }).`,
      undefined,
      {
        cause,
      },
    );
  const response = await fetch(url).catch((cause: unknown) => {
    throw refuse("it cannot be fetched", cause);
  });
  if (!response.ok) throw refuse(`the server answers with status ${response.status}`);
  return WebAssembly.compile(await response.arrayBuffer()).catch((cause: unknown) => {
    throw refuse("it is no WebAssembly", cause);
  });
}
