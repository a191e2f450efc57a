/**
 * Rows in flight and the table by which kernels find them: a record a row (records.ts).
 */
import type { Row } from "../engine/port/backend.ts";
import type { Arena, Region } from "./arena.ts";
import type { RecordLayout } from "./records.ts";
import type { RowBuffers } from "./row-slots.ts";
import type { WasmSequence } from "./sequence.ts";

export interface WasmRow extends Row, RowBuffers {
  readonly sequence: WasmSequence;
  iterations: number;
  /** Whether the last readout that it was in asked its head, whose input then lies in `work`. */
  isHead: boolean;
}

/** The table of one chunk of a call's rows, in memory of its own for as many as a chunk may have. */
export class RowTable {
  readonly #arena: Arena;
  readonly #layout: RecordLayout<"Row">;
  readonly #region: Region;

  constructor(arena: Arena, layout: RecordLayout<"Row">, rows: number) {
    this.#arena = arena;
    this.#layout = layout;
    this.#region = arena.allocate("tables", rows * layout.bytes, "the row table");
  }

  /** Address of a row's record. */
  record(row: number): number {
    return this.#region.address + row * this.#layout.bytes;
  }

  setStream(row: number, x: number, query: number, angles: number): void {
    const at = this.record(row) / 4;
    const { words } = this.#arena;
    const field = this.#layout.at;
    words[at + field.x] = x;
    words[at + field.query] = query;
    words[at + field.angles] = angles;
  }

  setX(row: number, x: number): void {
    this.#arena.words[this.record(row) / 4 + this.#layout.at.x] = x;
  }

  setEntry(row: number, entry: number): void {
    this.#arena.words[this.record(row) / 4 + this.#layout.at.entry] = entry;
  }

  setVisible(row: number, list: number, count: number, shift: number, strongest: number): void {
    const at = this.record(row) / 4;
    const { words } = this.#arena;
    const field = this.#layout.at;
    words[at + field.list] = list;
    words[at + field.count] = count;
    words[at + field.shift] = shift;
    words[at + field.strongest] = strongest;
  }
}
