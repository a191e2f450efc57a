/**
 * What one sequence has been through, so that another backend can be brought to the same state: the calls that changed
 * its cache or its rows, in order, with the number of iterations that each token really ran. Exit rules are not asked
 * again; a replay repeats what happened.
 */
import type { Backend, LatentState, Row, Sequence, SequenceOptions } from "../port/backend.ts";

/** A row as the journal knows it: the same object for as long as the row lives, whichever backend it is in. */
export interface JournalRow {
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

type Entry =
  | { readonly kind: "prelude" | "iterate" | "measure" | "readout" | "release"; readonly rows: readonly JournalRow[] }
  | { readonly kind: "truncate"; readonly length: number }
  | { readonly kind: "made"; readonly token: JournalToken };

export class Journal {
  readonly options: SequenceOptions;
  readonly #entries: Entry[] = [];

  constructor(options: SequenceOptions) {
    this.options = options;
  }

  note(entry: Entry): void {
    this.#entries.push(entry);
  }

  /**
   * Repeats everything on a backend, what is noted meanwhile, too. Rows that still live point to that backend's rows
   * afterwards.
   * @param landed hears of the sequence there, and of the state that its last released row ended with
   * @throws {FathomError} what the backend throws, e.g. out_of_memory
   */
  async replay(backend: Backend, landed: (sequence: Sequence, carried: Carried | undefined) => void): Promise<void> {
    const sequence = backend.openSequence(this.options);
    let carried: Carried | undefined;
    try {
      for (const entry of this.#entries) {
        if (entry.kind === "made") carried = await replayMade(backend, sequence, entry.token, carried);
        else if (entry.kind === "truncate") backend.truncate(sequence, entry.length);
        else carried = (await replayRows(backend, sequence, entry.kind, entry.rows)) ?? carried;
      }
      landed(sequence, carried);
    } catch (error) {
      backend.closeSequence(sequence);
      throw error;
    }
  }
}

/** Returns what released rows carry on. */
async function replayRows(
  backend: Backend,
  sequence: Sequence,
  kind: "prelude" | "iterate" | "measure" | "readout" | "release",
  rows: readonly JournalRow[],
): Promise<Carried | undefined> {
  const inner = (): Row[] => rows.map((row) => row.inner);
  switch (kind) {
    case "prelude": {
      const made = await backend.prelude(rows.map(({ token, state }) => ({ sequence, token, state })));
      made.forEach((row, i) => (rows[i]!.inner = row));
      return undefined;
    }
    case "iterate":
      await backend.iterate(inner());
      return undefined;
    case "measure":
      // only rows in flight will be measured again
      if (rows.some((row) => !row.released)) await backend.measure(inner());
      return undefined;
    case "readout":
      await backend.readout(inner(), []);
      return undefined;
    case "release": {
      const carried = await carriedBy(backend, rows.at(-1)!.inner);
      backend.release(inner());
      return carried;
    }
  }
}

async function replayMade(backend: Backend, sequence: Sequence, made: JournalToken, carried: Carried | undefined): Promise<Carried> {
  const { token, iterations, start } = made;
  const state = start === "raw" || start === "normalised" ? carried?.[start] : start;
  const [row] = await backend.prelude([{ sequence, token, state }]);
  for (let t = 0; t < iterations; t++) await backend.iterate([row!]);
  await backend.readout([row!], []);
  const next = await carriedBy(backend, row!);
  backend.release([row!]);
  return next;
}

async function carriedBy(backend: Backend, row: Row): Promise<Carried> {
  return { raw: await backend.latent(row, "raw"), normalised: await backend.latent(row, "normalised") };
}
