/**
 * The Wasm backend for pages, Deno and workers of browsers: fetches the build that this host can run. Bundlers that know
 * `new URL(file, import.meta.url)`, as Vite and webpack do, ship the builds by themselves; for others name their URLs.
 */
import { FathomError } from "../engine/errors.ts";
import type { WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { createWasmBackend, type WasmBackendOptions } from "./create.ts";
import type { WasmBackend } from "./backend.ts";
import { pageThreadLimit, pageThreads } from "./browser-threads.ts";
import type { ReplaceKernels } from "./kernels.ts";
import { supportsRelaxedSimd } from "./select.ts";
import { overSharedMemory } from "./shared-module.ts";
import { checkThreads, shareTiles, threadsFor } from "./threads.ts";

/** Options of `createWasmBackend`, and where the builds are. */
export interface BrowserWasmOptions extends Omit<WasmBackendOptions, "module" | "config" | "load" | "share"> {
  /** URL of relaxed.wasm. [default beside this module] */
  readonly relaxed?: string | URL;
  /** URL of simd.wasm, for hosts without relaxed SIMD. [default beside this module] */
  readonly simd?: string | URL;
  /**
   * Threads that compute products, from 1 to what the page may have, one where it is not cross-origin isolated. [default 1 for
   * a small model, else as many as there may be, up to 4]
   */
  readonly threads?: number;
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
  threads: wanted,
  ...options
}: BrowserWasmOptions = {}): (config: ModelConfig, load: (sink: WeightSink) => Promise<void>) => Promise<WasmBackend> {
  return async (config, load) => {
    const threads = wanted ?? threadsFor(config, pageThreadLimit());
    checkThreads("browserWasm", threads, Math.max(1, pageThreadLimit()));
    const url = supportsRelaxedSimd() ? relaxed : simd;
    if (threads === 1) return createWasmBackend({ ...options, module: await compiled(url), config, load });
    const module = await compiled(url, overSharedMemory);
    const share: ReplaceKernels = (kernels, arena) => shareTiles(pageThreads(threads), module, kernels, arena, options.bounds ?? "pages");
    return createWasmBackend({ ...options, module, config, load, share });
  };
}

/** @throws {FathomError} unavailable */
async function compiled(
  url: string | URL,
  change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> = (bytes) => bytes,
): Promise<WebAssembly.Module> {
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
  const bytes = new Uint8Array(await response.arrayBuffer());
  return (async () => WebAssembly.compile(change(bytes)))().catch((cause: unknown) => {
    throw refuse("it is no WebAssembly", cause);
  });
}
