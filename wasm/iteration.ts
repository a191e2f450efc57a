/**
 * One core iteration over the rows of a call: what its blocks read, the blocks, and the norm behind them where the model has
 * one there. Also what s_0 is where it is e.
 */
import type { ModelConfig } from "../engine/model/config.ts";
import type { Arena } from "./arena.ts";
import { forChunks, type BlockRunner } from "./blocks.ts";
import type { Kernels } from "./kernels.ts";
import type { RowLayout } from "./row-slots.ts";
import type { RowTable, WasmRow } from "./rows.ts";
import type { WasmMatrix, WasmModel } from "./weights.ts";
import type { Workspace } from "./workspace.ts";

export class Iteration {
  readonly #config: ModelConfig;
  readonly #arena: Arena;
  readonly #kernels: Kernels;
  readonly #model: WasmModel;
  readonly #workspace: Workspace;
  readonly #table: RowTable;
  readonly #blocks: BlockRunner;
  readonly #layout: RowLayout;

  constructor(
    config: ModelConfig,
    arena: Arena,
    kernels: Kernels,
    model: WasmModel,
    workspace: Workspace,
    table: RowTable,
    blocks: BlockRunner,
    layout: RowLayout,
  ) {
    this.#config = config;
    this.#arena = arena;
    this.#kernels = kernels;
    this.#model = model;
    this.#workspace = workspace;
    this.#table = table;
    this.#blocks = blocks;
    this.#layout = layout;
  }

  /** Rows that have passed the prelude begin with s_0 = e. */
  start(rows: readonly WasmRow[]): void {
    for (const row of rows) for (const to of [row.state, row.measured]) this.#copy(row.embedded, to);
  }

  /** s_t becomes s_(t+1); the rows' own counts are the caller's to raise. */
  run(rows: readonly WasmRow[]): void {
    const { adapter, core } = this.#model;
    const { finalNorm, skipsAdapter } = this.#config.recurrence;
    if (adapter !== undefined) forChunks(rows, (chunk) => this.#inject(adapter, chunk));
    if (skipsAdapter) for (const row of rows) if (row.iterations === 0) this.#copy(row.embedded, row.state);
    core.forEach((block, layer) => this.#blocks.run(block, rows, "core", layer));
    if (finalNorm.includes("iteration")) forChunks(rows, (chunk) => this.#normalise(chunk));
  }

  /** state = adapter [state | e] */
  #inject(adapter: WasmMatrix, rows: readonly WasmRow[]): void {
    const { run } = this.#kernels;
    const { input, inputStride, output, outputStride } = this.#workspace;
    const bytes = this.#config.width * 4;
    const table = this.#table.record(0);
    this.#blocks.enter(rows, "core");
    run.joinRows(table, rows.length, -this.#layout.bufferBytes, bytes, input, inputStride); // e lies before the state
    this.#blocks.multiply(adapter, this.#blocks.prepared(adapter, rows.length), rows.length);
    run.scatterRows(table, rows.length, output, outputStride, bytes);
  }

  /** state = ln_f(state) */
  #normalise(rows: readonly WasmRow[]): void {
    const { run } = this.#kernels;
    const { block, input, inputStride } = this.#workspace;
    const table = this.#table.record(0);
    this.#blocks.enter(rows, "core");
    run.normRows(block, table, rows.length, this.#model.finalNorm, input, inputStride);
    run.scatterRows(table, rows.length, input, inputStride, this.#config.width * 4);
  }

  #copy(from: number, to: number): void {
    this.#arena.floats.copyWithin(to / 4, from / 4, from / 4 + this.#config.width);
  }
}
