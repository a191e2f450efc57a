/**
 * Rows in flight and the table by which kernels find them (wasm/assembly/rows.ts).
 */
import type { Row } from "../engine/port/backend.ts";
import type { Arena, Region } from "./arena.ts";
import type { RowBuffers } from "./row-slots.ts";
import type { WasmSequence } from "./sequence.ts";

const ROW_RECORD_WORDS = 8;

export interface WasmRow extends Row, RowBuffers {
  readonly sequence: WasmSequence;
  iterations: number;
  /** Whether the last readout that it was in asked its head, whose input then lies in `work`. */
  isHead: boolean;
}

/** The table of one chunk of a call's rows, in memory of its own for as many as a chunk may have. */
export class RowTable {
  readonly #arena: Arena;
  readonly #region: Region;

  constructor(arena: Arena, rows: number) {
    this.#arena = arena;
    this.#region = arena.allocate("tables", rows * ROW_RECORD_WORDS * 4, "the row table");
  }

  /** Address of a row's record. */
  record(row: number): number {
    return this.#region.address + row * ROW_RECORD_WORDS * 4;
  }

  setStream(row: number, x: number, query: number, angles: number): void {
    const at = this.record(row) / 4;
    const { words } = this.#arena;
    words[at] = x;
    words[at + 1] = query;
    words[at + 6] = angles;
  }

  setX(row: number, x: number): void {
    this.#arena.words[this.record(row) / 4] = x;
  }

  setEntry(row: number, entry: number): void {
    this.#arena.words[this.record(row) / 4 + 2] = entry;
  }

  setVisible(row: number, list: number, count: number, shift: number, strongest: number): void {
    const at = this.record(row) / 4;
    const { words } = this.#arena;
    words[at + 3] = list;
    words[at + 4] = count;
    words[at + 5] = shift;
    words[at + 7] = strongest;
  }
}
