/**
 * The quantiser of `fathom convert` in WebAssembly: the same bytes as engine/model/quantise.ts, some three times as fast.
 * It has a memory of its own, which grows to what a call needs.
 */
import type { QuantiseTiles } from "../engine/model/quantise.ts";
import { quantisedBytes, TILE_ROWS } from "../engine/model/quantised.ts";
import { checkExports } from "./kernels.ts";

type Kernel = (weights: number, rows: number, columns: number, group: number, out: number) => void;

const PAGE_BYTES = 65536;

/** @param module wasm/build/convert.wasm @throws {FathomError} unavailable, where the build is not this host's */
export function wasmQuantiser(module: WebAssembly.Module): QuantiseTiles {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  checkExports(exports, { quantise_q4: 5, quantise_q8: 5 });
  const kernels = { q4: exports["quantise_q4"] as Kernel, q8: exports["quantise_q8"] as Kernel };
  return (weights, rows, out, layout) => {
    const { format, columns, group } = layout;
    const bytes = quantisedBytes({ ...layout, rows: Math.ceil(rows / TILE_ROWS) * TILE_ROWS });
    const at = rows * columns * 4;
    const missing = at + bytes - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
    new Float32Array(memory.buffer, 0, rows * columns).set(weights.subarray(0, rows * columns));
    const tiles = new Uint8Array(memory.buffer, at, bytes).fill(0);
    kernels[format](0, rows, columns, group, at);
    out.set(tiles);
  };
}
