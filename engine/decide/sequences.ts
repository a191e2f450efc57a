/**
 * The sequences of a pass: an input, its questions' branches, their leaves' branches. Branches can only be opened once
 * the rows before them have entered, so until then their memory is held by empty sequences: a decision that has begun
 * does not fail for want of memory that another request took meanwhile.
 */
import { FathomError } from "../errors.ts";
import type { Backend, BranchOptions, Row, Sequence, SequenceOptions } from "../port/backend.ts";
import type { PromptPrefix, Timeline } from "../port/prefix.ts";
import { passCache, type Pass } from "./passes.ts";

/** Positions of a sequence that only holds memory. */
const HELD_POSITIONS = 16;

export class PassSequences {
  readonly #backend: Backend;
  readonly #common: Pick<SequenceOptions, "maxIterations" | "cache">;
  /** Whether rows keep what they attend to, for `rest-wake`. */
  attention = false;
  /** Open sequences, in the order in which they were opened. */
  readonly #open: Sequence[] = [];
  #held: Sequence[] = [];

  constructor(backend: Backend, maxIterations: number) {
    this.#backend = backend;
    this.#common = { maxIterations, cache: passCache(backend.config) };
  }

  /**
   * Opens the input's sequence and holds memory for what will follow. Where the input is to be kept for later ones, and
   * there is room for that, too, it keeps a history.
   * @param bytes of what follows
   * @param coda  whether what is read after each iteration is part of it
   * @throws {FathomError} out_of_memory, with nothing taken
   */
  openInput({ tokens, prefix }: Pass, bytes: number, coda: boolean): Sequence {
    const capacity = tokens.length - (prefix?.found?.length ?? 0);
    const iterations = prefix?.keepIterations;
    const kept = iterations !== undefined && { rows: 1, prompt: capacity, history: { iterations, coda } };
    try {
      return this.#openInput({ capacity, ...kept }, bytes, prefix);
    } catch (error) {
      if (kept === false || !(error instanceof FathomError && error.code === "out_of_memory")) throw error;
      return this.#openInput({ capacity }, bytes, prefix);
    }
  }

  #openInput(options: BranchOptions, bytes: number, prefix: PromptPrefix | undefined): Sequence {
    const backend = this.#backend;
    const found = prefix?.found;
    const own = { ...this.#common, attention: this.attention, ...options };
    try {
      this.#open.push(found === undefined ? backend.openSequence(own) : backend.branch(found.sequence, { ...own, from: found.length }));
      this.#hold(bytes, Math.ceil);
      return this.#open[0]!;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Offers the input's sequence to later inputs, once nothing more is asked of it. @param rows of it, in flight */
  keepInput(prefix: PromptPrefix, rows: readonly Row[], timeline: Timeline): void {
    const [input, ...branches] = this.#open;
    for (const branch of branches.reverse()) this.#backend.closeSequence(branch);
    this.#backend.release(rows);
    this.#open.length = prefix.keep(input!, timeline) ? 0 : 1;
  }

  /**
   * Opens branches in place of held memory. Those without rows are their parent.
   * @param left bytes to hold for what is to follow them
   */
  branches(wanted: readonly { readonly parent: Sequence; readonly capacity: number }[], left: number): Sequence[] {
    this.#letGo();
    const opened = wanted.map(({ parent, capacity }) => {
      if (capacity === 0) return parent;
      const branch = this.#backend.branch(parent, { capacity, attention: this.attention });
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
    const options: SequenceOptions = { ...this.#common, attention: this.attention, capacity: Math.min(HELD_POSITIONS, contextLength) };
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
