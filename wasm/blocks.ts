/**
 * One block of the model over the rows of a call: norms, attention through the cache, MLP. All rows write their keys
 * and values before any attends, as rows of one sequence see each other; beyond that they go chunk by chunk.
 */
import type { ModelConfig } from "../engine/model/config.ts";
import type { Stage } from "../engine/model/stage.ts";
import type { HalfNorms } from "../engine/port/assemble.ts";
import type { Arena } from "./arena.ts";
import type { Kernels } from "./kernels.ts";
import type { RowTable, WasmRow } from "./rows.ts";
import type { KvFormat } from "./sequence.ts";
import { Visibility } from "./visibility.ts";
import type { WasmBlock, WasmMatrix } from "./weights.ts";
import { CHUNK_ROWS, type Workspace } from "./workspace.ts";

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
  readonly #kv: KvFormat;
  readonly #visibility: Visibility;
  /** Puts what rows of the table see, mixed, into the workspace's input. */
  readonly #attend: (first: number, count: number, scores: number) => void;

  constructor(config: ModelConfig, arena: Arena, kernels: Kernels, workspace: Workspace, table: RowTable, kv: KvFormat) {
    this.#config = config;
    this.#kernels = kernels;
    this.#workspace = workspace;
    this.#table = table;
    this.#kv = kv;
    this.#visibility = new Visibility(arena, table);
    const { attendRows, attendRowsInt8 } = kernels.run;
    const attend = kv === "f32" ? attendRows : attendRowsInt8;
    const { block, input, inputStride } = workspace;
    this.#attend = (first, count, scores) => attend(block, table.record(first), count, scores, input + first * inputStride, inputStride);
  }

  /** Puts a chunk's rows into the table, with their residual streams at a part of the model. */
  enter(rows: readonly WasmRow[], stage: Stage): void {
    const x = STREAM[stage];
    for (let i = 0; i < rows.length; i++) this.#table.setStream(i, x(rows[i]!), rows[i]!.query, rows[i]!.angles);
  }

  /**
   * Runs a block over rows.
   * @param wanted rows from the front that go on after writing keys and values [default all]
   */
  run(block: WasmBlock, rows: readonly WasmRow[], stage: Stage, layer: number, wanted = rows.length): void {
    const slots = rows.map((row) => row.sequence.slotOf(stage, layer, row.iterations));
    for (const row of rows) row.sequence.noteWritten(stage, layer, row.position, row.iterations);
    forChunks(rows, (chunk, from) => this.#write(block, chunk, stage, part(slots, from), false), 0, wanted);
    if (wanted < rows.length) forChunks(rows, (chunk, from) => this.#write(block, chunk, stage, part(slots, from), true), wanted);
    const isEntered = wanted === rows.length && wanted <= CHUNK_ROWS; // as one chunk, and still in the table
    forChunks(
      rows,
      (chunk, from) => {
        if (!isEntered) this.enter(chunk, stage);
        this.#visibility.attend(chunk, stage, part(slots, from), this.#attend);
        this.#finish(block, chunk.length);
      },
      0,
      wanted,
    );
  }

  /** Enters a chunk and writes its keys and values. @param slots that its rows write */
  #write(block: WasmBlock, rows: readonly WasmRow[], stage: Stage, slots: readonly number[], keysOnly: boolean): void {
    this.enter(rows, stage);
    for (let i = 0; i < rows.length; i++) {
      const { sequence, position } = rows[i]!;
      this.#table.setEntry(i, sequence.entryAddress(stage, slots[i]!, position));
    }
    this.#writeKeys(block, rows.length, keysOnly);
  }

  /**
   * y = x W^T into the workspace's output.
   * @param input address of the rows of x, in the form that the matrix reads
   */
  multiply(
    { record, format, tiles: all }: WasmMatrix,
    input: number,
    rows: number,
    firstTile = 0,
    tiles = all - firstTile,
    output = this.#workspace.output,
  ): void {
    this.#kernels.multiply[format](record, firstTile, tiles, input, rows, output);
  }

  /** norm of the table's first rows (or those rows as they are), as the matrix's input: its address. */
  normalised(matrix: WasmMatrix, count: number, norm: number | undefined): number {
    const { run } = this.#kernels;
    const { block, input, inputStride, activations } = this.#workspace;
    const { record, format } = matrix;
    const table = this.#table.record(0);
    if (norm === undefined) {
      run.gatherRows(table, count, input, inputStride, this.#config.width * 4);
      return this.prepared(matrix, count);
    }
    if (format === "f32") {
      run.normRows(block, table, count, norm, input, inputStride);
      return input;
    }
    run.normQuantiseRows(block, record, table, count, norm, activations);
    return activations;
  }

  /** The workspace's f32 input, as the matrix reads it: its address. */
  prepared({ record, format }: WasmMatrix, count: number): number {
    const { input, inputStride, activations } = this.#workspace;
    if (format === "f32") return input;
    this.#kernels.run.quantiseRows(record, input, inputStride, count, activations);
    return activations;
  }

  /** The norm, q k v, their biases or norms, rotary; k and v into the cache. `keysOnly` leaves q out where it has tiles of its own. */
  #writeKeys(block: WasmBlock, count: number, keysOnly: boolean): void {
    const { heads, kvHeads, headDim } = this.#config;
    const ws = this.#workspace;
    const input = this.normalised(block.qkv, count, block.attentionNorms.input);
    const skip = keysOnly && (heads * headDim) % 16 === 0 ? heads : 0;
    const skippedBytes = skip * headDim * 4;
    this.multiply(block.qkv, input, count, skippedBytes / 64, undefined, ws.output + skippedBytes);
    const bias = block.qkBias === undefined ? 0 : block.qkBias + skippedBytes;
    const { run } = this.#kernels;
    if (block.qkNorm !== undefined) {
      const norm = (from: number, features: number, weight: number): void =>
        run.normOutputs(ws.block, ws.output + from * 4, ws.outputStride, count, features, weight);
      if (skip === 0) norm(0, heads * headDim, block.qkNorm.query);
      norm(heads * headDim, kvHeads * headDim, block.qkNorm.key);
    }
    const store = this.#kv === "f32" ? run.storeRows : run.storeRowsInt8;
    store(ws.block, this.#table.record(0), count, ws.output + skippedBytes, ws.outputStride, heads - skip, bias);
  }

  /** What a block does after attention: projection, MLP and norms. */
  #finish(block: WasmBlock, count: number): void {
    const { run } = this.#kernels;
    const ws = this.#workspace;
    this.multiply(block.attentionOut, this.prepared(block.attentionOut, count), count);
    this.#join(count, block.attentionNorms);
    this.multiply(block.fc, this.normalised(block.fc, count, block.mlpNorms.input), count);
    const { mlpOut } = block;
    const isFloat = mlpOut.format === "f32";
    const gated = isFloat ? ws.input : ws.activations;
    (isFloat ? run.gateRows : run.gateQuantiseRows)(mlpOut.record, ws.output, ws.outputStride, count, gated);
    this.multiply(mlpOut, gated, count);
    this.#join(count, block.mlpNorms);
  }

  /** Puts what a half has made on the residual. */
  #join(count: number, { output, sum }: HalfNorms<number>): void {
    const { run } = this.#kernels;
    const ws = this.#workspace;
    const table = this.#table.record(0);
    if (output !== undefined) run.normOutputs(ws.block, ws.output, ws.outputStride, count, this.#config.width, output);
    if (sum === undefined) run.addRows(ws.block, table, count, ws.output, ws.outputStride);
    else run.addNormRows(ws.block, table, count, ws.output, ws.outputStride, sum);
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

/** What is left of a list from an index on. */
function part<T>(list: readonly T[], from: number): readonly T[] {
  return from === 0 ? list : list.slice(from);
}
