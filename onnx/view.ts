/**
 * What the rows of one call see in one layer. The graphs take past entries as a list, and a mask [rows, past + rows]:
 * the list is everything that any row of the call may see, each row's mask opens its share of it. So rows at different
 * depths, under any cache strategy, go through one run.
 */
import { ABSENT } from "../engine/cache-strategy.ts";
import { seenBy, type CallRow, type Entries, type OnnxSequence } from "./cache.ts";
import type { Stage } from "../engine/model/stage.ts";
import { HIDDEN } from "./signature.ts";

export interface LayerView {
  readonly past: readonly PastEntry[];
  /** [rows, past + rows] f32: 0 or HIDDEN */
  readonly mask: Float32Array;
}

/** An entry that rows see besides those that the layer makes itself. */
export interface PastEntry {
  /** Whose it is: a row's own, or an ancestor's. */
  readonly sequence: OnnxSequence;
  readonly slot: number;
  readonly position: number;
  /**
   * Where layers share slots it may be an earlier layer of this very call that writes the entry: known once that layer
   * has run. undefined: it lies in the cache.
   */
  readonly made: { readonly layer: number; readonly row: number } | undefined;
}

/** Views of all layers. Made before anything runs, so that a strategy that finds nothing fails before any work. */
export function viewLayers(stage: Stage, layers: number, rows: readonly CallRow[]): LayerView[] {
  return Array.from({ length: layers }, (_, layer) => viewLayer(stage, layer, rows));
}

function viewLayer(stage: Stage, layer: number, rows: readonly CallRow[]): LayerView {
  const rowAt = new Table<number>();
  rows.forEach(({ sequence, position }, i) => rowAt.set(sequence, position, i));
  const writes = (row: number, l: number): number => rows[row]!.sequence.slotOf(stage, l, rows[row]!.iterations);
  const madeBy = (row: number, slot: number): PastEntry["made"] => {
    for (let l = layer - 1; l >= 0; l--) if (writes(row, l) === slot) return { layer: l, row };
    return undefined;
  };
  const past: PastEntry[] = [];
  const indexOf = new Table<number>();
  // for each row the entries it sees: n >= 0 of `past`, or -1 - n for those of the call's own rows
  const seen = seenBy(stage, layer, rows).map((slots, i) => {
    const list: number[] = [];
    slots.forEach((slot, position) => {
      if (slot === ABSENT) return;
      const sequence = rows[i]!.sequence.holderOf(position);
      const row = rowAt.get(sequence, position);
      if (row !== undefined && writes(row, layer) === slot) return void list.push(-1 - row);
      const name = slot * sequence.end + position;
      let index = indexOf.get(sequence, name);
      if (index === undefined) {
        indexOf.set(sequence, name, (index = past.length));
        past.push({ sequence, slot, position, made: row === undefined ? undefined : madeBy(row, slot) });
      }
      list.push(index);
    });
    return list;
  });
  const columns = past.length + rows.length;
  const mask = new Float32Array(rows.length * columns).fill(HIDDEN);
  seen.forEach((list, i) => {
    for (const n of list) mask[i * columns + (n >= 0 ? n : past.length - 1 - n)] = 0;
  });
  return { past, mask };
}

/** Values by sequence and number. */
class Table<T> {
  readonly #rows = new Map<OnnxSequence, Map<number, T>>();

  get(sequence: OnnxSequence, number: number): T | undefined {
    return this.#rows.get(sequence)?.get(number);
  }

  set(sequence: OnnxSequence, number: number, value: T): void {
    if (!this.#rows.has(sequence)) this.#rows.set(sequence, new Map());
    this.#rows.get(sequence)!.set(number, value);
  }
}

/** Entries made by layers of the call, [rows, entry] f32 by layer; undefined before they have run. */
export type Made = readonly Entries[] | undefined;

/** Keys and values of a view's past, [past, entry] f32, `entry` elements each; those that wait for a layer of this call are zero. */
export function gatherPast(entry: number, stage: Stage, { past }: LayerView, made: Made): Entries {
  const [first] = past;
  if (first !== undefined && past.every((e, n) => e.made === undefined && follows(first, e, n))) {
    const { sequence, position, slot } = first;
    const { key, value } = sequence.entries(stage, slot);
    const at = position - sequence.start;
    const [from, to] = [at * entry, (at + past.length) * entry];
    return { key: key.subarray(from, to), value: value.subarray(from, to) };
  }
  const out = { key: new Float32Array(past.length * entry), value: new Float32Array(past.length * entry) };
  past.forEach(({ sequence, slot, position, made: by }, n) => {
    const source = by === undefined ? sequence.entries(stage, slot) : made?.[by.layer];
    const at = (by === undefined ? position - sequence.start : by.row) * entry;
    if (source === undefined) return;
    out.key.set(source.key.subarray(at, at + entry), n * entry);
    out.value.set(source.value.subarray(at, at + entry), n * entry);
  });
  return out;
}

/** Whether an entry is the n-th from the first on in the first's slot. */
function follows(first: PastEntry, { sequence, slot, position }: PastEntry, n: number): boolean {
  return sequence === first.sequence && slot === first.slot && position === first.position + n;
}

/**
 * Times that the layers must run until every one has had the right entries: once, and once more for each that reads
 * what an earlier layer of the call writes, as the k-th run is right up to the k-th of those.
 */
export function runsNeeded(views: readonly LayerView[]): number {
  return 1 + views.filter((view) => view.past.some((e) => e.made !== undefined)).length;
}

/** The position of each column of a view: its past, then the rows. */
export function columnPositions({ past }: LayerView, rows: readonly CallRow[]): number[] {
  return [...past, ...rows].map((e) => e.position);
}
