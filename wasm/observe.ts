/**
 * What exit rules ask of rows between iterations: how far their states moved, and how hard what moved presses on those
 * that look at it. Reads states and attention weights; changes only what was last measured.
 */
import type { StateChange } from "../engine/port/backend.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { Arena } from "./arena.ts";
import { forChunks } from "./blocks.ts";
import type { Kernels } from "./kernels.ts";
import type { RowPool, RowTable, WasmRow } from "./rows.ts";
import type { Workspace } from "./workspace.ts";

export class Observer {
  readonly #config: ModelConfig;
  readonly #arena: Arena;
  readonly #kernels: Kernels;
  readonly #workspace: Workspace;
  readonly #table: RowTable;
  readonly #pool: RowPool;

  constructor(config: ModelConfig, arena: Arena, kernels: Kernels, workspace: Workspace, table: RowTable, pool: RowPool) {
    this.#config = config;
    this.#arena = arena;
    this.#kernels = kernels;
    this.#workspace = workspace;
    this.#table = table;
    this.#pool = pool;
  }

  measure(rows: readonly WasmRow[]): StateChange[] {
    this.#table.reserve(rows.length);
    rows.forEach((row, i) => this.#table.setX(i, row.state));
    const { output } = this.#workspace;
    const { floats } = this.#arena;
    const changes: StateChange[] = [];
    forChunks(0, rows.length, (from, count) => {
      this.#kernels.run.measureRows(this.#table.record(from), count, this.#pool.stateToMeasured, this.#config.width, output);
      for (let at = output / 4; changes.length < from + count; at += 4)
        changes.push({
          distance: Math.sqrt(floats[at]!),
          norm: Math.sqrt(floats[at + 1]!),
          previousNorm: Math.sqrt(floats[at + 2]!),
          dot: floats[at + 3]!,
        });
    });
    return changes;
  }

  /** Before rows of the table run an iteration: their attention in it counts from zero. */
  forget(rows: readonly WasmRow[]): void {
    if (rows.every(({ strongest }) => strongest === 0)) return;
    this.#showKept(rows);
    this.#kernels.run.forgetStrongest(this.#table.record(0), rows.length);
  }

  /** @param rows of sequences that keep attention weights */
  pressure(rows: readonly WasmRow[], moved: Float32Array): Float32Array {
    this.#table.reserve(rows.length);
    this.#showKept(rows);
    const { scores, output } = this.#workspace; // scores: free between calls, and as long as the longest sequence
    const { floats } = this.#arena;
    floats.set(moved, scores / 4);
    const pressure = new Float32Array(rows.length);
    forChunks(0, rows.length, (from, count) => {
      this.#kernels.run.pressRows(this.#table.record(from), count, scores, output);
      pressure.set(floats.subarray(output / 4, output / 4 + count), from);
    });
    return pressure;
  }

  #showKept(rows: readonly WasmRow[]): void {
    for (let i = 0; i < rows.length; i++) this.#table.setVisible(i, 0, rows[i]!.position + 1, 0, rows[i]!.strongest);
  }
}
