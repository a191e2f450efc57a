/**
 * Memory that every call reuses: the matrices' inputs and outputs for one chunk of rows. A call may carry any number of
 * rows; they pass through here a chunk at a time, so it never grows. What depends on a sequence is in its own regions.
 */
import type { Arena } from "./arena.ts";
import { quantisedRowBytes, type Kernels } from "./kernels.ts";
import type { WasmBlock, WasmMatrix, WasmModel } from "./weights.ts";

/** Rows that pass through a matrix together. More gain nothing: the weights' share of the time is already small. */
export const CHUNK_ROWS = 65;

export class Workspace {
  /** f32 inputs of matrices, CHUNK_ROWS rows. */
  readonly input: number;
  readonly inputStride: number;
  /** Quantised inputs, CHUNK_ROWS rows. */
  readonly activations: number;
  readonly activationStride: number;
  /** Outputs of matrices, CHUNK_ROWS rows padded to whole tiles. */
  readonly output: number;
  readonly outputStride: number;
  /** { value f32, index i32 }: what keepLargest gives back. */
  readonly result: number;

  constructor(arena: Arena, kernels: Kernels, model: WasmModel) {
    const inBlocks = [...model.prelude, ...model.core, ...model.coda].flatMap((b: WasmBlock) => [b.qkv, b.attentionOut, b.fc, b.mlpOut]);
    const all = [...inBlocks, model.adapter, model.head];
    const stride = (bytes: number): number => Math.ceil(bytes / 64) * 64;
    this.inputStride = stride(Math.max(...all.map((m) => m.columns)) * 4);
    const quantised = all.filter((m): m is WasmMatrix & { format: "q8" | "q4" } => m.format !== "f32");
    this.activationStride = stride(Math.max(64, ...quantised.map((m) => quantisedRowBytes(m.columns, m.group, kernels.forms[m.format]))));
    this.outputStride = Math.max(...[...inBlocks, model.adapter].map((m) => m.tiles)) * 64;
    const take = (bytes: number): number => arena.allocate("scratch", bytes, "working memory").address;
    this.input = take(CHUNK_ROWS * this.inputStride);
    this.activations = take(CHUNK_ROWS * this.activationStride);
    this.output = take(CHUNK_ROWS * this.outputStride);
    this.result = take(8);
  }
}
