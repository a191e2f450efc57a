/**
 * Memory that every call reuses: the matrices' inputs and outputs for one chunk of rows, and the records by which kernels
 * know the matrices and blocks. A call may carry any number of rows; they pass through here a chunk at a time, so it never
 * grows. What depends on a sequence is in its own regions.
 */
import type { ModelConfig } from "../engine/model/config.ts";
import type { Arena } from "./arena.ts";
import type { Kernels } from "./kernels.ts";
import { writeRecord } from "./records.ts";
import type { EntryLayout } from "./sequence.ts";
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
  /** Record of what all blocks have in common. */
  readonly block: number;

  constructor(config: ModelConfig, arena: Arena, kernels: Kernels, model: WasmModel, entry: EntryLayout) {
    const inBlocks = [...model.prelude, ...model.core, ...model.coda].flatMap((b: WasmBlock) => [b.qkv, b.attentionOut, b.fc, b.mlpOut]);
    const adapter = model.adapter === undefined ? [] : [model.adapter];
    const all = [...inBlocks, ...adapter, model.head];
    const stride = (bytes: number): number => Math.ceil(bytes / 64) * 64;
    this.inputStride = stride(Math.max(...all.map((m) => m.columns)) * 4);
    const quantised = all.filter((m): m is WasmMatrix & { format: "q8" | "q4" } => m.format !== "f32");
    const { run, forms } = kernels;
    this.activationStride = stride(Math.max(64, ...quantised.map((m) => run.quantisedRowBytes(m.columns, m.group, forms[m.format]))));
    this.outputStride = Math.max(...[...inBlocks, ...adapter].map((m) => m.tiles)) * 64;
    const take = (bytes: number): number => arena.allocate("scratch", bytes, "working memory").address;
    this.input = take(CHUNK_ROWS * this.inputStride);
    this.activations = take(CHUNK_ROWS * this.activationStride);
    this.output = take(CHUNK_ROWS * this.outputStride);
    this.result = take(8);
    for (const matrix of [...all, model.embedding]) this.#describe(matrix, arena, kernels);
    this.block = arena.allocate("tables", kernels.records.Block.bytes, "the blocks' record").address;
    writeRecord(arena, kernels.records.Block, this.block, {
      width: config.width,
      eps: config.normEps,
      heads: config.heads,
      kvHeads: config.kvHeads,
      headDim: config.headDim,
      interleaved: config.block.rotary === "interleaved" ? 1 : 0,
      scale: 1 / Math.sqrt(config.headDim),
      valueOffset: entry.valueOffset,
      scaleOffset: entry.scaleOffset,
    });
  }

  /** Writes a matrix's record. */
  #describe({ format, columns, group, address, tileBytes, record }: WasmMatrix, arena: Arena, { forms, records }: Kernels): void {
    writeRecord(arena, records.Matrix, record, {
      weights: address,
      tileBytes,
      columns,
      group,
      form: format === "f32" ? 0 : forms[format],
      xStride: format === "f32" ? this.inputStride : this.activationStride,
      yStride: this.outputStride,
    });
  }
}
