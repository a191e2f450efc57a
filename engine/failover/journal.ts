/**
 * What a sequence and all of its branches have been through, so that another backend can be brought to the same state:
 * the calls that changed their caches or rows, in order, with the number of iterations that each token really ran. Exit
 * rules are not asked again; a replay repeats what happened.
 */
import type { Backend, LatentState, Row, Sequence, SequenceOptions } from "../port/backend.ts";

/** A sequence in the backend that holds it. */
export interface Home {
  readonly backend: Backend;
  readonly inner: Sequence;
}

/** A sequence as the journal knows it. */
export interface JournalSequence {
  readonly options: SequenceOptions;
  readonly parent?: JournalSequence | undefined;
  /** The error by which no other backend could take the sequence over. */
  failure: unknown;
  /** Leaves the backend that it is on. */
  detach(): void;
  /** Joins another backend. @param carried the state that its last released row ended with */
  attach(home: Home, carried: Carried | undefined): void;
}

/** A row as the journal knows it: the same object for as long as the row lives, whichever backend it is in. */
export interface JournalRow {
  readonly sequence: JournalSequence;
  readonly token: number;
  /** s_0; undefined = zeros. */
  readonly state: LatentState | undefined;
  /** The row in the backend that runs now. */
  inner: Row;
  released: boolean;
}

/** A token that a backend made by itself: its predecessor's row, from entry to release. */
export interface JournalToken {
  /** The token that entered. */
  readonly token: number;
  readonly iterations: number;
  /** s_0, or how it followed from the state of the position before. */
  readonly start: LatentState | undefined | "raw" | "normalised";
}

/** The state that a position ended with, in both forms that a next token may start from. */
export interface Carried {
  readonly raw: LatentState;
  readonly normalised: LatentState;
}

type RowsKind = "prelude" | "iterate" | "measure" | "readout" | "release";

/** What happened to one sequence alone. */
type OwnEntry =
  | { readonly kind: "open"; readonly sequence: JournalSequence }
  | { readonly kind: "truncate"; readonly sequence: JournalSequence; readonly length: number }
  | { readonly kind: "made"; readonly sequence: JournalSequence; readonly token: JournalToken };

type Entry = OwnEntry | { readonly kind: RowsKind; readonly rows: readonly JournalRow[] };

export class Journal {
  #entries: Entry[] = [];
  /** Open sequences, parents before their branches. */
  readonly #members = new Set<JournalSequence>();
  /** Closed sequences whose entries are still there. */
  readonly #left = new Set<JournalSequence>();
  #isReplaying = false;

  /** A sequence, or a branch of one that has joined before. */
  join(sequence: JournalSequence): void {
    this.#members.add(sequence);
    this.note({ kind: "open", sequence });
  }

  note(entry: Entry): void {
    this.#entries.push(entry);
  }

  /** A sequence that has been closed; no open one depends on what it has been through. */
  leave(sequence: JournalSequence): void {
    this.#members.delete(sequence);
    this.#left.add(sequence);
    this.#forget();
  }

  /**
   * Brings the sequences to another backend and repeats everything there, what is noted meanwhile, too. Rows that still
   * live point to that backend's rows afterwards. Where it cannot take them, all keep its error as their failure.
   */
  async move(backend: Backend): Promise<void> {
    for (const sequence of this.#members) sequence.detach();
    const replay = new Replay(backend);
    this.#isReplaying = true;
    try {
      for (const entry of this.#entries) await replay.repeat(entry);
      replay.attach();
    } catch (error) {
      replay.close();
      for (const sequence of this.#members) sequence.failure = error;
    }
    this.#isReplaying = false;
    this.#forget();
  }

  /** Drops the entries of closed sequences, once they are as many as the open ones: so it costs little a sequence. */
  #forget(): void {
    if (this.#isReplaying || this.#left.size < this.#members.size) return;
    const isLeft = ({ sequence }: { readonly sequence: JournalSequence }): boolean => this.#left.has(sequence);
    this.#entries = this.#entries.flatMap((entry): Entry[] => {
      if (!("rows" in entry)) return isLeft(entry) ? [] : [entry];
      const rows = entry.rows.filter((row) => !isLeft(row));
      return rows.length === 0 ? [] : [{ kind: entry.kind, rows }];
    });
    this.#left.clear();
  }
}

/** One journal's sequences on their new backend. */
class Replay {
  readonly #backend: Backend;
  /** The sequences on the new backend, in the order in which they were opened. */
  readonly #inner = new Map<JournalSequence, Sequence>();
  readonly #carried = new Map<JournalSequence, Carried>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  async repeat(entry: Entry): Promise<void> {
    if ("rows" in entry) return this.#repeatRows(entry.kind, entry.rows);
    const { sequence } = entry;
    if (entry.kind === "open") this.#inner.set(sequence, this.#open(sequence));
    else if (entry.kind === "truncate") this.#backend.truncate(this.#inner.get(sequence)!, entry.length);
    else await this.#repeatMade(sequence, entry.token);
  }

  /** Joins all sequences to the backend, branches first: they may have been closed on the way, and their parents, too. */
  attach(): void {
    for (const [sequence, inner] of [...this.#inner].reverse())
      sequence.attach({ backend: this.#backend, inner }, this.#carried.get(sequence));
  }

  close(): void {
    for (const inner of [...this.#inner.values()].reverse()) this.#backend.closeSequence(inner);
  }

  #open({ options, parent }: JournalSequence): Sequence {
    return parent === undefined ? this.#backend.openSequence(options) : this.#backend.branch(this.#inner.get(parent)!, options);
  }

  async #repeatRows(kind: RowsKind, rows: readonly JournalRow[]): Promise<void> {
    const backend = this.#backend;
    const inner = (): Row[] => rows.map((row) => row.inner);
    switch (kind) {
      case "prelude": {
        const inputs = rows.map(({ sequence, token, state }) => ({ sequence: this.#inner.get(sequence)!, token, state }));
        const made = await backend.prelude(inputs);
        made.forEach((row, i) => (rows[i]!.inner = row));
        return;
      }
      case "iterate":
        return backend.iterate(inner());
      case "measure":
        // only rows in flight will be measured again
        if (rows.some((row) => !row.released)) await backend.measure(inner());
        return;
      case "readout":
        await backend.readout(inner(), []);
        return;
      case "release": {
        const last = new Map(rows.map((row) => [row.sequence, row]));
        for (const [sequence, row] of last) this.#carried.set(sequence, await carriedBy(backend, row.inner));
        backend.release(inner());
      }
    }
  }

  async #repeatMade(sequence: JournalSequence, { token, iterations, start }: JournalToken): Promise<void> {
    const backend = this.#backend;
    const state = start === "raw" || start === "normalised" ? this.#carried.get(sequence)?.[start] : start;
    const [row] = await backend.prelude([{ sequence: this.#inner.get(sequence)!, token, state }]);
    for (let t = 0; t < iterations; t++) await backend.iterate([row!]);
    await backend.readout([row!], []);
    this.#carried.set(sequence, await carriedBy(backend, row!));
    backend.release([row!]);
  }
}

async function carriedBy(backend: Backend, row: Row): Promise<Carried> {
  return { raw: await backend.latent(row, "raw"), normalised: await backend.latent(row, "normalised") };
}
