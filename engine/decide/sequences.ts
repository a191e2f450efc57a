/**
 * The sequences of a pass: an input, its questions' branches, their leaves' branches. Branches can only be opened once
 * the rows before them have entered, so until then their memory is held by empty sequences: a decision that has begun
 * does not fail for want of memory that another request took meanwhile.
 */
import type { Backend, Sequence, SequenceOptions } from "../port/backend.ts";
import { passCache } from "./passes.ts";

/** Positions of a sequence that only holds memory. */
const HELD_POSITIONS = 16;

export class PassSequences {
  readonly #backend: Backend;
  readonly #common: Pick<SequenceOptions, "maxIterations" | "cache">;
  /** Open sequences, in the order in which they were opened. */
  readonly #open: Sequence[] = [];
  #held: Sequence[] = [];

  constructor(backend: Backend, maxIterations: number) {
    this.#backend = backend;
    this.#common = { maxIterations, cache: passCache(backend.config) };
  }

  /**
   * Opens the input's sequence and holds memory for what will follow.
   * @param bytes of the whole pass
   * @throws {FathomError} out_of_memory, with nothing taken
   */
  openInput(capacity: number, bytes: number): Sequence {
    try {
      const sequence = this.#backend.openSequence({ ...this.#common, capacity });
      this.#open.push(sequence);
      this.#hold(bytes - this.#backend.sequenceBytes({ ...this.#common, capacity }), Math.ceil);
      return sequence;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Opens branches in place of held memory. Those without rows are their parent.
   * @param left bytes to hold for what is to follow them
   */
  branches(wanted: readonly { readonly parent: Sequence; readonly capacity: number }[], left: number): Sequence[] {
    this.#letGo();
    const opened = wanted.map(({ parent, capacity }) => {
      if (capacity === 0) return parent;
      const branch = this.#backend.branch(parent, { capacity });
      this.#open.push(branch);
      return branch;
    });
    this.#hold(left, Math.floor); // never more than there was
    return opened;
  }

  /** Closes all of them, branches before what they are branches of. */
  close(): void {
    this.#letGo();
    for (let sequence = this.#open.pop(); sequence !== undefined; sequence = this.#open.pop()) this.#backend.closeSequence(sequence);
  }

  #hold(bytes: number, round: (count: number) => number): void {
    const { contextLength } = this.#backend.config;
    const options: SequenceOptions = { ...this.#common, capacity: Math.min(HELD_POSITIONS, contextLength) };
    const count = round(bytes / this.#backend.sequenceBytes(options));
    for (let i = 0; i < count; i++) this.#held.push(this.#backend.openSequence(options));
  }

  #letGo(): void {
    for (const sequence of this.#held) this.#backend.closeSequence(sequence);
    this.#held = [];
  }
}

/** Calls of at most as many rows as a backend takes, in causal order. */
export async function inCalls<R>(backend: Backend, rows: readonly R[], call: (rows: readonly R[]) => unknown): Promise<void> {
  if (rows.length <= backend.maxRows) return void (await call(rows));
  for (let at = 0; at < rows.length; at += backend.maxRows) await call(rows.slice(at, at + backend.maxRows));
}
