/**
 * Sequences and rows that outlive the backend they are in: what callers of the failover backend hold.
 */
import type { Backend, LatentState, Row, RowInput, Sequence, SequenceOptions } from "../port/backend.ts";
import { Journal, type Carried, type JournalRow } from "./journal.ts";

export class FailoverSequence implements Sequence {
  readonly options: SequenceOptions;
  readonly journal: Journal;
  /** The sequence in the backend that holds it; undefined on the way from one to the other. */
  place: { readonly backend: Backend; readonly inner: Sequence } | undefined;
  #length = 0;
  /** What its last released row carries on, where it was replayed. */
  carried: Carried | undefined;
  /** Why the fallback could not take it over. */
  failure: unknown;

  constructor(options: SequenceOptions, place?: { readonly backend: Backend; readonly inner: Sequence }) {
    this.options = options;
    this.journal = new Journal(options);
    this.place = place;
  }

  get length(): number {
    return (this.#length = this.place?.inner.length ?? this.#length);
  }
}

export class FailoverRow implements Row, JournalRow {
  readonly sequence: FailoverSequence;
  readonly token: number;
  readonly state: LatentState | undefined;
  inner: Row;
  released = false;

  constructor(sequence: FailoverSequence, input: RowInput, inner: Row) {
    this.sequence = sequence;
    this.token = input.token;
    this.state = input.state?.slice();
    this.inner = inner;
  }

  get position(): number {
    return this.inner.position;
  }

  get iterations(): number {
    return this.inner.iterations;
  }
}

/** Notes a call in the journals of its rows' sequences. */
export function note(kind: "prelude" | "iterate" | "measure" | "readout" | "release", rows: readonly FailoverRow[]): void {
  const bySequence = new Map<FailoverSequence, FailoverRow[]>();
  for (const row of rows) {
    const own = bySequence.get(row.sequence);
    if (own === undefined) bySequence.set(row.sequence, [row]);
    else own.push(row);
  }
  for (const [{ journal }, own] of bySequence) journal.note({ kind, rows: own });
}

export function innerOf(rows: readonly FailoverRow[]): Row[] {
  return rows.map((row) => row.inner);
}
