/**
 * One block of the model over the rows of a call: norms, attention through the cache, MLP. All rows write their keys
 * and values before any attends, as rows of one sequence see each other; beyond that they go chunk by chunk.
 */
import type { ModelConfig } from "../engine/model/config.ts";
import type { Stage } from "../engine/model/stage.ts";
import type { Arena } from "./arena.ts";
import type { Kernels } from "./kernels.ts";
import type { RowTable, WasmRow } from "./rows.ts";
import type { EntryLayout } from "./sequence.ts";
import { Visibility } from "./visibility.ts";
import type { WasmBlock, WasmMatrix } from "./weights.ts";
import { CHUNK_ROWS, type Workspace } from "./workspace.ts";

/** A matrix input in the form that the matrix reads. */
interface Input {
  readonly address: number;
  readonly stride: number;
}

/** A row's residual stream in each part of the model. */
const STREAM: Readonly<Record<Stage, (row: WasmRow) => number>> = {
  prelude: (row) => row.embedded,
  core: (row) => row.state,
  coda: (row) => row.work,
};

export class BlockRunner {
  readonly #config: ModelConfig;
  readonly #kernels: Kernels;
  readonly #workspace: Workspace;
  readonly #table: RowTable;
  readonly #entry: EntryLayout;
  readonly #visibility: Visibility;

  constructor(config: ModelConfig, arena: Arena, kernels: Kernels, workspace: Workspace, table: RowTable, entry: EntryLayout) {
    this.#config = config;
    this.#kernels = kernels;
    this.#workspace = workspace;
    this.#table = table;
    this.#entry = entry;
    this.#visibility = new Visibility(arena, table);
  }

  /** Puts a chunk's rows into the table, with their residual streams at a part of the model. */
  enter(rows: readonly WasmRow[], stage: Stage): void {
    const x = STREAM[stage];
    rows.forEach((row, i) => this.#table.setStream(i, x(row), row.query, row.angles));
  }

  /**
   * Runs a block over rows.
   * @param wanted rows from the front that go on after writing keys and values [default all]
   */
  run(block: WasmBlock, rows: readonly WasmRow[], stage: Stage, layer: number, wanted = rows.length): void {
    const slots = rows.map((row) => row.sequence.slotOf(stage, layer, row.iterations));
    for (const row of rows) row.sequence.noteWritten(stage, layer, row.position, row.iterations);
    const writeKeys = (keysOnly: boolean) => (chunk: readonly WasmRow[], from: number) => {
      this.enter(chunk, stage);
      chunk.forEach((row, i) => this.#table.setEntry(i, row.sequence.entryAddress(stage, slots[from + i]!, row.position)));
      this.#writeKeys(block, chunk.length, keysOnly);
    };
    forChunks(rows, writeKeys(false), 0, wanted);
    forChunks(rows, writeKeys(true), wanted);
    const finish = (chunk: readonly WasmRow[], from: number): void => {
      this.enter(chunk, stage);
      this.#visibility.attend(chunk, stage, from === 0 ? slots : slots.slice(from), (...group) => this.#attend(...group));
      this.#finish(block, chunk.length);
    };
    forChunks(rows, finish, 0, wanted);
  }

  /** y = x W^T into the workspace's output. */
  multiply(
    matrix: WasmMatrix,
    input: Input,
    rows: number,
    firstTile = 0,
    tiles = matrix.tiles - firstTile,
    output = this.#workspace.output,
    outputStride = this.#workspace.outputStride,
  ): void {
    const { run, multiply } = this.#kernels;
    const { format, columns, group } = matrix;
    const w = matrix.address + firstTile * matrix.tileBytes;
    if (format === "f32") run.multiplyF32(w, tiles, columns, input.address, input.stride, rows, output, outputStride);
    else multiply[format](w, tiles, columns, group, input.address, input.stride, rows, output, outputStride);
  }

  /** norm of the table's first rows, as the matrix's input. */
  normalised(matrix: WasmMatrix, count: number, norm: number): Input {
    const { run, forms } = this.#kernels;
    const { width, normEps } = this.#config;
    const table = this.#table.record(0);
    const ws = this.#workspace;
    if (matrix.format === "f32") {
      run.normRows(table, count, norm, width, normEps, ws.input, ws.inputStride);
      return { address: ws.input, stride: ws.inputStride };
    }
    run.normQuantiseRows(table, count, norm, width, normEps, matrix.group, forms[matrix.format], ws.activations, ws.activationStride);
    return { address: ws.activations, stride: ws.activationStride };
  }

  /** The workspace's f32 input, as the matrix reads it. */
  prepared(matrix: WasmMatrix, count: number): Input {
    const { run, forms } = this.#kernels;
    const ws = this.#workspace;
    if (matrix.format === "f32") return { address: ws.input, stride: ws.inputStride };
    run.quantiseRows(
      ws.input,
      ws.inputStride,
      count,
      matrix.columns,
      matrix.group,
      forms[matrix.format],
      ws.activations,
      ws.activationStride,
    );
    return { address: ws.activations, stride: ws.activationStride };
  }

  /** norm_1, q k v, biases, rotary; k and v into the cache. `keysOnly` leaves q out where it has tiles of its own. */
  #writeKeys(block: WasmBlock, count: number, keysOnly: boolean): void {
    const { heads, kvHeads, headDim, block: layout } = this.#config;
    const ws = this.#workspace;
    const input = this.normalised(block.qkv, count, block.norms[0]!);
    const skip = keysOnly && (heads * headDim) % 16 === 0 ? heads : 0;
    const skippedBytes = skip * headDim * 4;
    this.multiply(block.qkv, input, count, skippedBytes / 64, undefined, ws.output + skippedBytes);
    const bias = block.qkBias === undefined ? 0 : block.qkBias + skippedBytes;
    const interleaved = layout.rotary === "interleaved" ? 1 : 0;
    const { valueOffset, scaleOffset, format } = this.#entry;
    const { run } = this.#kernels;
    const table = this.#table.record(0);
    const y = ws.output + skippedBytes;
    if (format === "f32") run.storeRows(table, count, y, ws.outputStride, heads - skip, kvHeads, headDim, interleaved, bias, valueOffset);
    else run.storeRowsInt8(table, count, y, ws.outputStride, heads - skip, kvHeads, headDim, interleaved, bias, valueOffset, scaleOffset);
  }

  /** What rows of the table see, mixed, into the workspace's input. */
  #attend(first: number, count: number, scores: number): void {
    const { heads, kvHeads, headDim } = this.#config;
    const { run } = this.#kernels;
    const { input, inputStride } = this.#workspace;
    const { valueOffset, scaleOffset, format } = this.#entry;
    const table = this.#table.record(first);
    const out = input + first * inputStride;
    const scale = 1 / Math.sqrt(headDim);
    if (format === "f32") run.attendRows(table, count, heads, kvHeads, headDim, scale, valueOffset, scores, out, inputStride);
    else run.attendRowsInt8(table, count, heads, kvHeads, headDim, scale, valueOffset, scaleOffset, scores, out, inputStride);
  }

  /** The rest of the block after attention. */
  #finish(block: WasmBlock, count: number): void {
    const { width, mlpWidth, normEps, block: layout } = this.#config;
    const { run, forms } = this.#kernels;
    const ws = this.#workspace;
    const table = this.#table.record(0);
    this.multiply(block.attentionOut, this.prepared(block.attentionOut, count), count);
    const sandwich = layout.norms === "sandwich";
    if (sandwich) run.addNormRows(table, count, ws.output, ws.outputStride, block.norms[1]!, width, normEps);
    else run.addRows(table, count, ws.output, ws.outputStride, width);
    this.multiply(block.fc, this.normalised(block.fc, count, block.norms[sandwich ? 2 : 1]!), count);
    let gated: Input = { address: ws.input, stride: ws.inputStride };
    const { mlpOut } = block;
    if (mlpOut.format === "f32") run.gateRows(ws.output, ws.outputStride, count, mlpWidth, ws.input, ws.inputStride);
    else {
      gated = { address: ws.activations, stride: ws.activationStride };
      run.gateQuantiseRows(
        ws.output,
        ws.outputStride,
        count,
        mlpWidth,
        mlpOut.group,
        forms[mlpOut.format],
        ws.activations,
        ws.activationStride,
      );
    }
    this.multiply(mlpOut, gated, count);
    if (sandwich) run.addNormRows(table, count, ws.output, ws.outputStride, block.norms[3]!, width, normEps);
    else run.addRows(table, count, ws.output, ws.outputStride, width);
  }
}

/** Calls `work` for rows [from, to) in chunks of at most CHUNK_ROWS, with the index of each chunk's first row. */
export function forChunks(
  rows: readonly WasmRow[],
  work: (chunk: readonly WasmRow[], from: number) => void,
  from = 0,
  to = rows.length,
): void {
  if (from === 0 && to === rows.length && to <= CHUNK_ROWS) {
    if (to > 0) work(rows, 0);
    return;
  }
  for (let at = from; at < to; at += CHUNK_ROWS) work(rows.slice(at, Math.min(at + CHUNK_ROWS, to)), at);
}
