/**
 * Several models in one linear memory, over one instance of the kernels: what one leaves another can have, to the byte,
 * without waiting for a garbage collector. Not here: which model goes when (worker/pool.ts).
 */
import * as v from "valibot";
import { checkOptions, named, positive } from "../engine/options.ts";
import type { ModelMemory } from "../engine/port/model-memory.ts";
import { Arena } from "./arena.ts";
import { loadInto } from "./create.ts";
import { bindKernels, type BoundsChecks } from "./kernels.ts";
import { hostLimitBytes } from "./limits.ts";
import { LinearMemory } from "./linear-memory.ts";
import { boundsOption, moduleOption } from "./options.ts";

/** Options of `sharedWasm`. */
export interface SharedWasmOptions {
  /** relaxed.wasm where `supportsRelaxedSimd()`, else simd.wasm. */
  readonly module: WebAssembly.Module;
  /** Most bytes that the memory may ever take, all models and requests together. [default as for createWasmBackend] */
  readonly limitBytes?: number;
  /** How the host checks memory accesses; only speed depends on it. Give "code" in Workers. [default "pages"] */
  readonly bounds?: BoundsChecks;
}

const options = named({ module: moduleOption, limitBytes: v.exactOptional(positive()), bounds: v.exactOptional(boundsOption) });

/**
 * Memory for several models of the Wasm backend, for `modelPool`.
 * @throws {TypeError} naming the option that is wrong
 * @throws {FathomError} unavailable where the module is none of this version's
 * @example
 * const memory = sharedWasm({ module, limitBytes: 512 * 2 ** 20 });
 */
export function sharedWasm(given: SharedWasmOptions): ModelMemory {
  const { module, limitBytes = hostLimitBytes(), bounds } = checkOptions("sharedWasm", options, given);
  const memory = new LinearMemory(limitBytes, false);
  const base = new Arena({ memory, fixedBytes: 0, makeRoom: () => false });
  const kernels = bindKernels(module, base, undefined, bounds);
  const fixedBytes = memory.usedBytes;
  return {
    limitBytes: memory.limitBytes,
    get usedBytes() {
      return memory.usedBytes;
    },
    place(makeRoom) {
      const arena = new Arena({ memory, fixedBytes, makeRoom });
      return {
        createBackend: (config, load) => loadInto(arena, kernels, { config, load }),
        get usedBytes() {
          return arena.ledger().usedBytes;
        },
        close: () => arena.close(),
      };
    },
  };
}
