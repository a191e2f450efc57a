/**
 * Rows in flight and the table by which kernels find them: a record a row (records.ts).
 */
import type { Row } from "../engine/port/backend.ts";
import type { Arena } from "./arena.ts";
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
  readonly #address: number;
  readonly #bytes: number;
  readonly #at: RecordLayout<"Row">["at"];

  constructor(arena: Arena, { bytes, at }: RecordLayout<"Row">, rows: number) {
    this.#arena = arena;
    this.#address = arena.allocate("tables", rows * bytes, "the row table").address;
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Address of a row's record. */
  record(row: number): number {
    return this.#address + row * this.#bytes;
  }

  setStream(row: number, x: number, query: number, angles: number): void {
    const { words } = this.#arena;
    const record = this.record(row) / 4;
    const at = this.#at;
    words[record + at.x] = x;
    words[record + at.query] = query;
    words[record + at.angles] = angles;
  }

  setX(row: number, x: number): void {
    this.#arena.words[this.record(row) / 4 + this.#at.x] = x;
  }

  setEntry(row: number, entry: number): void {
    this.#arena.words[this.record(row) / 4 + this.#at.entry] = entry;
  }

  setVisible(row: number, list: number, count: number, shift: number, strongest: number): void {
    const { words } = this.#arena;
    const record = this.record(row) / 4;
    const at = this.#at;
    words[record + at.list] = list;
    words[record + at.count] = count;
    words[record + at.shift] = shift;
    words[record + at.strongest] = strongest;
  }
}
