/**
 * What exit rules ask of rows between iterations: how far their states moved, and how hard what moved presses on those
 * that look at it. Reads states and attention weights; changes only what was last measured.
 */
import type { StateChange } from "../engine/port/backend.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { Arena } from "./arena.ts";
import { forChunks } from "./blocks.ts";
import type { Kernels } from "./kernels.ts";
import type { RowLayout } from "./row-slots.ts";
import type { RowTable, WasmRow } from "./rows.ts";
import type { Workspace } from "./workspace.ts";

export class Observer {
  readonly #config: ModelConfig;
  readonly #arena: Arena;
  readonly #kernels: Kernels;
  readonly #workspace: Workspace;
  readonly #table: RowTable;
  readonly #layout: RowLayout;

  constructor(config: ModelConfig, arena: Arena, kernels: Kernels, workspace: Workspace, table: RowTable, layout: RowLayout) {
    this.#config = config;
    this.#arena = arena;
    this.#kernels = kernels;
    this.#workspace = workspace;
    this.#table = table;
    this.#layout = layout;
  }

  measure(rows: readonly WasmRow[]): StateChange[] {
    const { output } = this.#workspace;
    const { floats } = this.#arena;
    const changes: StateChange[] = [];
    forChunks(rows, (chunk, from) => {
      chunk.forEach((row, i) => this.#table.setX(i, row.state));
      const stateToMeasured = this.#layout.bufferBytes;
      this.#kernels.run.measureRows(this.#table.record(0), chunk.length, stateToMeasured, this.#config.width, output);
      for (let at = output / 4; changes.length < from + chunk.length; at += 4)
        changes.push({
          distance: Math.sqrt(floats[at]!),
          norm: Math.sqrt(floats[at + 1]!),
          previousNorm: Math.sqrt(floats[at + 2]!),
          dot: floats[at + 3]!,
        });
    });
    return changes;
  }

  /** Lets rows' attention count from zero, before they run an iteration. */
  forget(rows: readonly WasmRow[]): void {
    if (rows.every(({ strongest }) => strongest === 0)) return;
    forChunks(rows, (chunk) => {
      this.#showKept(chunk);
      this.#kernels.run.forgetStrongest(this.#table.record(0), chunk.length);
    });
  }

  /** @param rows of sequences that keep attention weights */
  pressure(rows: readonly WasmRow[], moved: Float32Array): Float32Array {
    const pressure = new Float32Array(rows.length);
    if (rows.length === 0) return pressure;
    const { output } = this.#workspace;
    const { floats } = this.#arena;
    const last = rows.reduce((a, b) => (b.position > a.position ? b : a));
    const { scores } = last.sequence; // free between calls, and as long as the row's positions
    floats.set(moved.subarray(0, last.position + 1), scores / 4);
    forChunks(rows, (chunk, from) => {
      this.#showKept(chunk);
      this.#kernels.run.pressRows(this.#table.record(0), chunk.length, scores, output);
      pressure.set(floats.subarray(output / 4, output / 4 + chunk.length), from);
    });
    return pressure;
  }

  #showKept(rows: readonly WasmRow[]): void {
    for (let i = 0; i < rows.length; i++) this.#table.setVisible(i, 0, rows[i]!.position + 1, 0, rows[i]!.strongest);
  }
}
