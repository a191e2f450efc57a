/**
 * Sequences and rows that outlive the backend they are in: what callers of the failover backend hold.
 */
import type { Backend, LatentState, Row, Sequence, SequenceOptions } from "../port/backend.ts";
import type { Place } from "../port/sequences.ts";
import { Journal, type Carried, type JournalRow } from "./journal.ts";

/** A sequence in the backend that holds it. */
export interface Home {
  readonly backend: Backend;
  readonly inner: Sequence;
}

export class FailoverSequence implements Sequence {
  readonly options: SequenceOptions;
  readonly start = 0;
  readonly journal: Journal;
  #home: Home | undefined;
  /** Positions when it was last at home. */
  #length = 0;
  #isClosed = false;
  /** What its last released row carries on, where it was replayed. */
  carried: Carried | undefined;
  /** Why the fallback could not take it over. */
  failure: unknown;

  /** @param home undefined: it opens on the fallback, at its first call */
  constructor(options: SequenceOptions, home?: Home) {
    this.options = options;
    this.journal = new Journal(options);
    this.#home = home;
  }

  /** Where it is; undefined on the way from one backend to the other. */
  get home(): Home | undefined {
    return this.#home;
  }

  get length(): number {
    return this.#home?.inner.length ?? this.#length;
  }

  truncate(length: number): void {
    this.#home?.backend.truncate(this.#home.inner, length);
    this.#length = Math.min(this.#length, length);
  }

  /** Sets out for the fallback. */
  depart(): void {
    this.#length = this.length;
    this.#home = undefined;
  }

  /** Arrives; where it was closed on the way, only to be closed there, too. */
  land(home: Home, carried: Carried | undefined): void {
    this.#home = home;
    this.carried = carried;
    if (this.#isClosed) home.backend.closeSequence(home.inner);
  }

  close(): void {
    this.#isClosed = true;
    this.#home?.backend.closeSequence(this.#home.inner);
  }
}

export class FailoverRow implements Row, JournalRow {
  readonly sequence: FailoverSequence;
  readonly token: number;
  readonly state: LatentState | undefined;
  inner: Row;
  released = false;

  constructor({ sequence, token, state }: Place<FailoverSequence>, inner: Row) {
    this.sequence = sequence;
    this.token = token;
    this.state = state?.slice();
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
