/**
 * Sequences and rows that outlive the backend they are in: what callers of the failover backend hold.
 */
import type { LatentState, Row, Sequence, SequenceOptions } from "../port/backend.ts";
import type { Place } from "../port/sequences.ts";
import { Journal, type Carried, type Home, type JournalRow, type JournalSequence } from "./journal.ts";

export class FailoverSequence implements Sequence, JournalSequence {
  readonly options: SequenceOptions;
  readonly parent: FailoverSequence | undefined;
  readonly start: number;
  /** The family's: the same for a sequence and all of its branches. */
  readonly journal: Journal;
  #home: Home | undefined;
  /** Positions when it was last at home. */
  #length: number;
  #isClosed = false;
  /** What the sequence's last released row carries on, where it was replayed. */
  carried: Carried | undefined;
  /** The error by which the fallback could not take the row over. */
  failure: unknown;

  /** @param home undefined: it opens on the fallback, at its first call */
  constructor(options: SequenceOptions, home: Home | undefined, parent?: FailoverSequence) {
    this.options = options;
    this.parent = parent;
    this.start = this.#length = parent?.length ?? 0;
    this.#home = home;
    this.journal = parent?.journal ?? new Journal();
    this.journal.join(this);
  }

  /** The backend that has the sequence; undefined on the way from one to the other. */
  get home(): Home | undefined {
    return this.#home;
  }

  get length(): number {
    return this.#home?.inner.length ?? this.#length;
  }

  truncate(length: number): void {
    this.#home?.backend.truncate(this.#home.inner, length);
    this.#length = Math.min(this.#length, length);
    this.journal.note({ kind: "truncate", sequence: this, length });
  }

  /** Leaves the primary, for the fallback. */
  detach(): void {
    this.#length = this.length;
    this.#home = undefined;
  }

  /** Joins a backend; a sequence that was closed on the way is closed there, too. */
  attach(home: Home, carried: Carried | undefined): void {
    this.#home = home;
    this.carried = carried;
    if (this.#isClosed) home.backend.closeSequence(home.inner);
  }

  close(): void {
    this.#isClosed = true;
    this.#home?.backend.closeSequence(this.#home.inner);
    this.journal.leave(this);
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

/** Notes a call in the journals of its rows' families. */
export function note(kind: "prelude" | "iterate" | "measure" | "readout" | "release", rows: readonly FailoverRow[]): void {
  const byJournal = new Map<Journal, FailoverRow[]>();
  for (const row of rows) {
    const own = byJournal.get(row.sequence.journal);
    if (own === undefined) byJournal.set(row.sequence.journal, [row]);
    else own.push(row);
  }
  for (const [journal, own] of byJournal) journal.note({ kind, rows: own });
}

export function innerOf(rows: readonly FailoverRow[]): Row[] {
  return rows.map((row) => row.inner);
}
