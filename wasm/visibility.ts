/**
 * What each row of a call attends to: which entries, found where. Where no position lacks the slot, that is the
 * sequence's own list of addresses, shifted to the slot; else a list of the row's own is written. Also brings back, for
 * sequences that ask for it, the strongest attention weight on each position.
 */
import type { Arena } from "./arena.ts";
import type { RowTable, WasmRow } from "./rows.ts";
import type { Stage, WasmSequence } from "./sequence.ts";
import type { Workspace } from "./workspace.ts";

/** Weights by list entry that still have to be put where their positions are. */
interface Scattered {
  readonly row: WasmRow;
  /** Address of [count] f32. */
  readonly weights: number;
  /** Position of each entry of the list. */
  readonly positions: readonly number[];
}

export class Visibility {
  readonly #arena: Arena;
  readonly #workspace: Workspace;
  readonly #table: RowTable;
  readonly #scattered: Scattered[] = [];

  constructor(arena: Arena, workspace: Workspace, table: RowTable) {
    this.#arena = arena;
    this.#workspace = workspace;
    this.#table = table;
  }

  /** Fills the table's lists for its first rows, each of which has written its `slots` entry. */
  lookUp(rows: readonly WasmRow[], stage: Stage, slots: readonly number[]): void {
    const ragged: number[] = [];
    let sequence: WasmSequence | undefined;
    let slot = -1;
    let firstMissing = 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      if (row.sequence !== sequence || slots[i] !== slot) {
        sequence = row.sequence;
        slot = slots[i]!;
        firstMissing = sequence.firstMissing(stage, slot);
      }
      if (row.position >= firstMissing) ragged.push(i);
      else
        this.#table.setVisible(
          i,
          sequence.region.address,
          row.position + 1,
          sequence.slotOffset(stage, slot),
          stage === "core" ? row.strongest : 0,
        );
    }
    if (ragged.length > 0) this.#lookUpRagged(rows, ragged, stage, slots);
  }

  #lookUpRagged(rows: readonly WasmRow[], ragged: readonly number[], stage: Stage, slots: readonly number[]): void {
    const padded = (row: WasmRow): number => Math.ceil((row.position + 1) / 16) * 16;
    let at = this.#workspace.lists(ragged.reduce((sum, i) => sum + 2 * padded(rows[i]!), 0)) / 4;
    const { words, floats } = this.#arena;
    for (const i of ragged) {
      const row = rows[i]!;
      const positions: number[] = [];
      row.sequence.listVisible(stage, slots[i]!, row.position, (position, address) => {
        words[at + positions.length] = address;
        positions.push(position);
      });
      const count = positions.length;
      for (let n = count; n % 4 !== 0; n++) words[at + n] = words[at]!; // scores are made in fours
      const keeps = stage === "core" && row.strongest !== 0;
      const weights = at + padded(row);
      this.#table.setVisible(i, at * 4, count, 0, keeps ? weights * 4 : 0);
      if (keeps) {
        floats.fill(0, weights, weights + padded(row));
        this.#scattered.push({ row, weights: weights * 4, positions });
      }
      at += 2 * padded(row);
    }
  }

  /** After the layer's attention: puts the weights of rows with lists of their own where they belong. */
  collect(): void {
    const { floats } = this.#arena;
    for (const { row, weights, positions } of this.#scattered) {
      const kept = row.strongest / 4;
      positions.forEach((position, n) => (floats[kept + position] = Math.max(floats[kept + position]!, floats[weights / 4 + n]!)));
    }
    this.#scattered.length = 0;
  }
}
