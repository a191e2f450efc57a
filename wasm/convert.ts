/**
 * The quantiser of `fathom convert` in WebAssembly: the same bytes as engine/model/quantise.ts, some three times as fast.
 * Here are its kernels; quantise-threads.ts shares them out.
 */
import type { QuantFormat } from "../engine/model/quantised.ts";
import { checkExports } from "./kernels.ts";

/** Quantises rows of f32 at `weights` into tiles at `out`, which must be zeros. */
type QuantiseKernel = (weights: number, rows: number, columns: number, group: number, out: number) => void;

export type QuantiseKernels = Readonly<Record<QuantFormat, QuantiseKernel>>;

/** @param module wasm/build/convert.wasm @throws {FathomError} unavailable, where the build is not this host's */
export function quantiseKernels(module: WebAssembly.Module, memory: WebAssembly.Memory): QuantiseKernels {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  checkExports(exports, { quantise_q4: 5, quantise_q8: 5 });
  return { q4: exports["quantise_q4"] as QuantiseKernel, q8: exports["quantise_q8"] as QuantiseKernel };
}
