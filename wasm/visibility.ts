/**
 * What each row of a call attends to: which entries, found where. Where no position lacks the slot, that is the
 * sequence's own list of addresses, shifted to the slot, or for a branch or a history written for it; else a list of the row's
 * own is written, in memory that its sequence has for one row at a time. Also brings back, for sequences that ask for it,
 * the strongest attention weight on each position.
 */
import type { Stage } from "../engine/model/stage.ts";
import type { Arena } from "./arena.ts";
import type { RowTable, WasmRow } from "./rows.ts";
import type { WasmSequence } from "./sequence.ts";

/** Weights by list entry that still have to be put where their positions are. */
interface Scattered {
  readonly row: WasmRow;
  /** Position of each entry of the list. */
  readonly positions: readonly number[];
}

export class Visibility {
  readonly #arena: Arena;
  readonly #table: RowTable;
  readonly #scattered: Scattered[] = [];
  /** Sequences whose memory for a row's own list is taken until rows have attended, and whose `allList` is. */
  readonly #taken = { own: new Set<WasmSequence>(), all: new Set<WasmSequence>() };

  constructor(arena: Arena, table: RowTable) {
    this.#arena = arena;
    this.#table = table;
  }

  /**
   * Fills the table's lists for a chunk of rows, each of which has written its `slots` entry, and calls `attend` for as
   * many of them at a time as have their lists.
   * @param attend rows of the table, and scratch for their scores
   */
  attend(
    rows: readonly WasmRow[],
    stage: Stage,
    slots: readonly number[],
    attend: (first: number, count: number, scores: number) => void,
  ): void {
    for (let first = 0, end = 0; first < rows.length; first = end) {
      end = this.#fill(rows, first, stage, slots);
      attend(first, end - first, scratchOf(rows, first, end));
      this.#collect();
    }
  }

  /** Fills the lists of rows from `first` on. @returns the first row whose list has to wait for another's memory */
  #fill(rows: readonly WasmRow[], first: number, stage: Stage, slots: readonly number[]): number {
    const { own, all } = this.#taken;
    if (own.size > 0) own.clear();
    if (all.size > 0) all.clear();
    let sequence: WasmSequence | undefined;
    let slot = -1;
    let firstMissing = 0;
    for (let i = first; i < rows.length; i++) {
      const row = rows[i]!;
      if (row.sequence !== sequence || slots[i] !== slot) {
        sequence = row.sequence;
        slot = slots[i]!;
        firstMissing = sequence.firstMissing(stage, slot);
      }
      if (row.position >= firstMissing) {
        if (own.has(sequence)) return i;
        own.add(sequence);
        this.#writeOwn(i, row, stage, slot);
      } else {
        if (sequence.listsAnew) {
          if (all.has(sequence) && !sequence.hasListed(stage, slot)) return i;
          all.add(sequence);
        }
        this.#showAll(i, row, stage, slot);
      }
    }
    return rows.length;
  }

  /** The list of a row that sees every position up to its own. */
  #showAll(index: number, { sequence, position, strongest }: WasmRow, stage: Stage, slot: number): void {
    sequence.list(stage, slot);
    this.#table.setVisible(index, sequence.allList, position + 1, sequence.listShift(stage, slot), stage === "core" ? strongest : 0);
  }

  /** The list of a row that misses some positions, into its sequence's memory for one. */
  #writeOwn(index: number, row: WasmRow, stage: Stage, slot: number): void {
    const { words, floats } = this.#arena;
    const { sequence } = row;
    const at = sequence.ownList / 4;
    const positions: number[] = [];
    sequence.listVisible(stage, slot, row.position, (position, address) => {
      words[at + positions.length] = address;
      positions.push(position);
    });
    const count = positions.length;
    for (let n = count; n % 4 !== 0; n++) words[at + n] = words[at]!; // scores are made in fours
    const keeps = stage === "core" && row.strongest !== 0;
    this.#table.setVisible(index, sequence.ownList, count, 0, keeps ? sequence.ownWeights : 0);
    if (!keeps) return;
    const weights = sequence.ownWeights / 4;
    floats.fill(0, weights, weights + Math.ceil(count / 4) * 4);
    this.#scattered.push({ row, positions });
  }

  /** Puts the attention weights of rows with lists of their own where they belong. */
  #collect(): void {
    const { floats } = this.#arena;
    for (const { row, positions } of this.#scattered) {
      const kept = row.strongest / 4;
      const weights = row.sequence.ownWeights / 4;
      positions.forEach((position, n) => (floats[kept + position] = Math.max(floats[kept + position]!, floats[weights + n]!)));
    }
    this.#scattered.length = 0;
  }
}

/** Scratch for the scores of any of some rows: their longest sequence's. */
function scratchOf(rows: readonly WasmRow[], first: number, end: number): number {
  let longest = rows[first]!.sequence;
  for (let i = first + 1; i < end; i++) if (rows[i]!.sequence.end > longest.end) longest = rows[i]!.sequence;
  return longest.scores;
}
