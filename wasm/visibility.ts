/**
 * What each row of a call attends to: which entries, found where. Where no position lacks the slot, that is the
 * sequence's own list of addresses, shifted to the slot, or for a branch written for it; else a list of the row's own is
 * written, in memory that its sequence has for one row at a time. Also brings back, for sequences that ask for it, the strongest attention weight on
 * each position.
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
    let first = 0;
    let longest = rows[0]!.sequence;
    const written = new Set<WasmSequence>();
    const listed = new Set<WasmSequence>();
    const flush = (end: number): void => {
      if (end > first) attend(first, end - first, longest.scores);
      this.#collect();
      written.clear();
      listed.clear();
      first = end;
    };
    let sequence: WasmSequence | undefined;
    let slot = -1;
    let firstMissing = 0;
    rows.forEach((row, i) => {
      if (row.sequence !== sequence || slots[i] !== slot) {
        sequence = row.sequence;
        slot = slots[i]!;
        firstMissing = sequence.firstMissing(stage, slot);
      }
      const isRagged = row.position >= firstMissing;
      if (isRagged ? written.has(sequence) : listed.has(sequence) && !sequence.hasListed(stage, slot)) flush(i);
      if (isRagged) this.#writeOwn(i, row, stage, slot);
      else this.#showAll(i, row, stage, slot);
      if (isRagged) written.add(sequence);
      else if (sequence.parent !== undefined) listed.add(sequence);
      if (i === first || sequence.end > longest.end) longest = sequence;
    });
    flush(rows.length);
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
