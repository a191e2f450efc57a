/**
 * Makes logits of latent states: ln_f, coda, ln_f and the head. Logits come in pieces, so that a search for the largest
 * never writes them all out.
 */
import type { ModelConfig } from "../engine/model/config.ts";
import { forChunks, type BlockRunner } from "./blocks.ts";
import type { Kernels } from "./kernels.ts";
import type { RowTable, WasmRow } from "./rows.ts";
import type { WasmModel } from "./weights.ts";
import type { Workspace } from "./workspace.ts";

/** Tiles of the head whose logits are computed before they are used: what stays in the first-level cache. */
const HEAD_TILES = 128;

/** Receives `count` logits of a head, from token `first` on, as f32 at `address`. */
export type TakeLogits = (head: number, first: number, count: number, address: number) => void;

export class Readout {
  readonly #config: ModelConfig;
  readonly #kernels: Kernels;
  readonly #model: WasmModel;
  readonly #workspace: Workspace;
  readonly #table: RowTable;
  readonly #blocks: BlockRunner;

  constructor(config: ModelConfig, kernels: Kernels, model: WasmModel, workspace: Workspace, table: RowTable, blocks: BlockRunner) {
    this.#config = config;
    this.#kernels = kernels;
    this.#model = model;
    this.#workspace = workspace;
    this.#table = table;
    this.#blocks = blocks;
  }

  /**
   * Coda over `rows`, head over `heads`. Rows that are not heads end with their last keys and values.
   * @param tokens the only ones to compute, each taken by itself under its index in the list [default all]
   */
  run(rows: readonly WasmRow[], heads: readonly WasmRow[], take: TakeLogits, tokens?: readonly number[]): void {
    const others = heads === rows ? [] : without(rows, heads);
    const ordered = others.length === 0 ? heads : [...heads, ...others];
    const { coda } = this.#model;
    forChunks(ordered, (chunk) => this.#enterCoda(chunk));
    coda.forEach((block, layer) => this.#blocks.run(block, ordered, "coda", layer, layer === coda.length - 1 ? heads.length : undefined));
    forChunks(heads, (chunk, from) => this.#head(chunk, (i, first, count, at) => take(from + i, first, count, at), tokens));
  }

  /** work = ln_f(state), or state, for a chunk of rows. */
  #enterCoda(rows: readonly WasmRow[]): void {
    const { run } = this.#kernels;
    const { width, recurrence } = this.#config;
    const { block, input, inputStride } = this.#workspace;
    const table = this.#table.record(0);
    this.#blocks.enter(rows, "core");
    if (recurrence.finalNorm.includes("coda")) run.normRows(block, table, rows.length, this.#model.finalNorm, input, inputStride);
    else run.gatherRows(table, rows.length, input, inputStride, width * 4);
    this.#blocks.enter(rows, "coda");
    run.scatterRows(table, rows.length, input, inputStride, width * 4);
  }

  #head(rows: readonly WasmRow[], take: TakeLogits, tokens: readonly number[] | undefined): void {
    const { head, finalNorm } = this.#model;
    const { output, outputStride } = this.#workspace;
    this.#blocks.enter(rows, "coda");
    const input = this.#blocks.normalised(head, rows.length, this.#config.recurrence.finalNorm.includes("head") ? finalNorm : undefined);
    tokens?.forEach((token, index) => {
      this.#blocks.multiply(head, input, rows.length, Math.floor(token / 16), 1);
      for (let i = 0; i < rows.length; i++) take(i, index, 1, output + i * outputStride + (token % 16) * 4);
    });
    if (tokens !== undefined) return;
    const step = Math.min(HEAD_TILES, Math.floor(outputStride / 64));
    for (let tile = 0; tile < head.tiles; tile += step) {
      const tiles = Math.min(step, head.tiles - tile);
      this.#blocks.multiply(head, input, rows.length, tile, tiles);
      for (let i = 0; i < rows.length; i++) take(i, tile * 16, Math.min(tiles * 16, head.rows - tile * 16), output + i * outputStride);
    }
  }
}

function without(rows: readonly WasmRow[], left: readonly WasmRow[]): readonly WasmRow[] {
  const out = new Set(left);
  return rows.filter((row) => !out.has(row));
}
