/**
 * Makes a Wasm backend: kernels bound to a memory, weights streamed into it, everything run until it is warm.
 */
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { FathomError } from "../engine/errors.ts";
import type { WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { checkOptions } from "../engine/options.ts";
import { Arena } from "./arena.ts";
import { WasmBackend } from "./backend.ts";
import { bindKernels, type BoundsChecks, type DotPath, type Kernels, type ReplaceKernels } from "./kernels.ts";
import { hostLimitBytes } from "./limits.ts";
import { wasmBackendOptions } from "./options.ts";
import { LARGEST_INT8_HEAD, type KvFormat } from "./sequence.ts";
import { warmUp } from "./warm-up.ts";
import { loadWeights, type WasmModel } from "./weights.ts";

/** Options of `createWasmBackend`: the build, the model, and how much memory it may take. */
export interface WasmBackendOptions {
  /** relaxed.wasm where `supportsRelaxedSimd()`, else simd.wasm. */
  readonly module: WebAssembly.Module;
  readonly config: ModelConfig;
  /** Streams the checkpoint into the sink it is given (see `readCheckpoint`). */
  readonly load: (sink: WeightSink) => Promise<void>;
  /**
   * Most bytes that Wasm memory may ever take, weights and all requests together. [default 96 MiB on Workers, of an
   * isolate's 128; elsewhere up to 4 GiB, as far as the machine has them, see `hostLimitBytes`]
   */
  readonly limitBytes?: number;
  /**
   * How keys and values are kept. [default "int8" where the model's own matrices are quantised, else "f32"] With int8 the
   * shipped model gives the same 2450 answers of 2450 as with f32, at r = 32 with its exit rule; a quarter of the bytes.
   */
  readonly kv?: KvFormat;
  /** How dot products are made. [default the host's best] */
  readonly path?: DotPath;
  /** How the host checks memory accesses; only speed depends on it. Give "code" in Workers. [default "pages"] */
  readonly bounds?: BoundsChecks;
  /**
   * Lets several threads share the kernels' work: `browserWasm` and `createNodeWasmBackend` give it where they have threads.
   * The module must be one over shared memory then. [default one thread]
   */
  readonly share?: ReplaceKernels;
  /** Runs every kernel until the engine has optimised it, some milliseconds. [default true] */
  readonly warm?: boolean;
}

/**
 * Loads a model into the Wasm backend.
 * @throws {TypeError} naming the option that is wrong
 * @throws {FathomError} out_of_memory, unavailable, and whatever `load` finds wrong with the checkpoint
 * @example
 * const backend = await createWasmBackend({ module, config, load: (sink) => readWeights(folder, config, sink) });
 */
export async function createWasmBackend(options: WasmBackendOptions): Promise<WasmBackend> {
  const checked = checkOptions("createWasmBackend", wasmBackendOptions, options);
  const { limitBytes = hostLimitBytes() } = checked;
  const arena = new Arena(limitBytes, checked.share !== undefined);
  const bound = bindKernels(checked.module, arena, checked.path, checked.bounds);
  const kernels = (await checked.share?.(bound, arena)) ?? bound;
  return loadInto(arena, kernels, checked);
}

/**
 * Loads a model into an arena whose kernels are bound.
 * @throws {FathomError} out_of_memory, and whatever `load` finds wrong with the checkpoint
 */
export async function loadInto(
  arena: Arena,
  kernels: Kernels,
  { config, load, kv, warm = true }: Pick<WasmBackendOptions, "config" | "load" | "kv" | "warm">,
): Promise<WasmBackend> {
  const { sink, finish } = loadWeights(config, arena, kernels.records.Matrix.bytes);
  await load(sink);
  const model = finish();
  const backend = new WasmBackend(config, arena, kernels, model, kv ?? defaultKv(config, model));
  requireRoom(backend);
  if (warm) warmUp(backend);
  return backend;
}

/** Positions of the shortest request worth serving. */
const SHORTEST_REQUEST = 9;

/** A model beside which no request has room is of no use. @throws {FathomError} out_of_memory */
function requireRoom(backend: WasmBackend): void {
  const capacity = Math.min(SHORTEST_REQUEST, backend.config.contextLength);
  const options = { capacity, maxIterations: 1, cache: parseCacheStrategy("full"), attention: true };
  const { usedBytes, limitBytes } = backend.memory();
  if (usedBytes + backend.sequenceBytes(options) <= limitBytes) return;
  throw new FathomError(
    "out_of_memory",
    `The model takes ${usedBytes} of ${limitBytes} bytes, which leaves no room for a request. ` +
      "Raise the limit, or use a model of fewer weights or a smaller quantisation.",
  );
}

function defaultKv(config: ModelConfig, { core }: WasmModel): KvFormat {
  return core[0]!.qkv.format !== "f32" && config.headDim <= LARGEST_INT8_HEAD ? "int8" : "f32";
}
