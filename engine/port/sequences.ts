/**
 * Which sequences a backend has open, and which of their rows are in flight: what decides whether a call may use them.
 * Every implementation of the port keeps one, a lane and a failover backend too, each for what it opened itself; so a
 * row or sequence is never taken for one's own by its shape. Knows nothing of memory, caches or arithmetic.
 */
import { FathomError } from "../errors.ts";
import type { Backend, BranchOptions, LatentState, Row, RowInput, Sequence, SequenceOptions } from "./backend.ts";
import {
  branchOptions,
  checkAttention,
  checkDistinct,
  checkHeads,
  checkIterations,
  checkLength,
  checkMoved,
  checkRecall,
  checkRowCount,
  checkState,
  checkToken,
} from "./checks.ts";

/** A checked input, with the position that it will take. */
export interface Place<S extends Sequence> {
  readonly sequence: S;
  readonly position: number;
  readonly token: number;
  /** s_0, [width]; undefined = zeros. */
  readonly state: LatentState | undefined;
}

/** Checked rows of a readout, and heads among them. */
export interface ReadableRows<R extends Row> {
  readonly rows: readonly R[];
  readonly heads: readonly R[];
}

/** What is asked of the backend whose sequences they are. */
type Holder = Pick<Backend, "name" | "config" | "maxRows"> & { readonly recall?: Backend["recall"] | undefined };

/** An open sequence's rows. */
interface Flight {
  readonly rows: Set<Row>;
  /** The position before which rows have room of their own; 0 where there is none, or once it has been given back. */
  prompt: number;
  /** Open branches of the sequence. */
  branches: number;
}

/** The sequences that a backend has open and their rows in flight, with the checks that every call begins with. */
export class OpenSequences<S extends Sequence, R extends Row> {
  readonly #backend: Holder;
  readonly #open = new Map<Sequence, Flight>();
  readonly #closed = new WeakSet<Sequence>();

  /** @param backend whose sequences they are; asked for its vocabulary, its width and the width of its calls */
  constructor(backend: Holder) {
    this.#backend = backend;
  }

  /** Open ones, in the order in which they came. */
  *[Symbol.iterator](): IterableIterator<S> {
    for (const sequence of this.#open.keys()) yield sequence as S;
  }

  get size(): number {
    return this.#open.size;
  }

  add(sequence: S): S {
    const { options, start, parent } = sequence;
    this.#open.set(sequence, { rows: new Set(), prompt: options.prompt === undefined ? 0 : start + options.prompt, branches: 0 });
    const family = parent && this.#open.get(parent); // a parent that is not held here is held by whoever lent it
    if (family !== undefined) family.branches++;
    return sequence;
  }

  /**
   * Ends a sequence and all of its rows.
   * @returns the rows that were in flight; undefined where it has been closed before
   * @throws {FathomError} invalid_request for a sequence of another backend, and for one with open branches
   */
  close(sequence: Sequence): { readonly sequence: S; readonly rows: readonly R[] } | undefined {
    const flight = this.#open.get(sequence);
    if (flight === undefined) {
      if (this.#closed.has(sequence)) return undefined;
      throw foreign("sequence");
    }
    if (flight.branches > 0) throw hasBranches(flight.branches, "be closed");
    this.#open.delete(sequence);
    const family = sequence.parent && this.#open.get(sequence.parent);
    if (family !== undefined) family.branches--;
    this.#closed.add(sequence);
    return { sequence: sequence as S, rows: [...flight.rows] as R[] };
  }

  /** An open sequence of this backend's own. @throws {FathomError} invalid_request */
  own(sequence: Sequence): S {
    if (!this.#open.has(sequence)) throw this.#stranger(sequence);
    return sequence as S;
  }

  /** A sequence that may have a branch, and all options of the branch. @throws {FathomError} invalid_request, context_overflow */
  branchable(parent: Sequence, options: BranchOptions): { readonly parent: S; readonly options: SequenceOptions } {
    const own = this.own(parent);
    return { parent: own, options: branchOptions(own, options, this.#backend) };
  }

  /** A branch that may look at its ancestors as they were. @param iterations by position @throws {FathomError} invalid_request */
  recallable(sequence: Sequence, iterations: ArrayLike<number> | undefined): S {
    const own = this.own(sequence);
    checkRecall(own, iterations);
    return own;
  }

  /**
   * Leaves an open sequence to another holder; what is asked of it here afterwards is refused, as if it were closed.
   * @throws {FathomError} invalid_request where rows of it are in flight
   */
  handOver(sequence: Sequence): S {
    const own = this.own(sequence);
    if (this.#open.get(sequence)!.rows.size > 0)
      throw new FathomError(
        "invalid_request",
        "The sequence cannot be handed over while rows of it are in flight; release them first.",
        "sequence",
      );
    this.#open.delete(sequence);
    this.#closed.add(sequence);
    return own;
  }

  /** A sequence that takes further positions. @throws {FathomError} invalid_request */
  extendable(sequence: Sequence): S {
    const own = this.own(sequence);
    const { branches } = this.#open.get(sequence)!;
    if (branches > 0) throw hasBranches(branches, "take further positions");
    return own;
  }

  /** Rows of open sequences that `prelude` has made. */
  enter(rows: readonly R[]): void {
    for (const row of rows) this.#open.get(row.sequence)?.rows.add(row);
  }

  /**
   * Takes rows out of flight.
   * @returns those that were; the others have been released before
   * @throws {FathomError} invalid_request for rows of another backend, with nothing released
   */
  leave(rows: readonly Row[]): R[] {
    for (const { sequence } of rows) if (!this.#open.has(sequence) && !this.#closed.has(sequence)) throw foreign("row");
    const left = rows.filter((row) => this.#open.get(row.sequence)?.rows.delete(row)) as R[];
    for (const sequence of new Set(left.map((row) => row.sequence))) this.#settlePrompt(sequence, left);
    return left;
  }

  /**
   * Checks inputs and gives them their positions; takes nothing.
   * @throws {FathomError} invalid_request, token_out_of_range, context_overflow
   */
  place(inputs: readonly RowInput[]): Place<S>[] {
    const { config } = this.#backend;
    checkRowCount(inputs.length, this.#backend);
    const next = new Map<Sequence, number>();
    const places = inputs.map(({ sequence, token, state }): Place<S> => {
      const own = this.extendable(sequence);
      checkToken(token, config);
      if (state !== undefined) checkState(state, config);
      const position = next.get(sequence) ?? own.length;
      const { capacity } = own.options;
      if (position - own.start >= capacity)
        throw new FathomError("context_overflow", `The sequence was opened for ${capacity} positions; all are taken.`, "capacity");
      next.set(sequence, position + 1);
      return { sequence: own, position, token, state };
    });
    for (const [sequence, end] of next) this.#checkRoom(sequence, end);
    return places;
  }

  /** Rows that a call may use: this backend's, in flight, each once. @throws {FathomError} invalid_request */
  rows(rows: readonly Row[]): readonly R[] {
    checkRowCount(rows.length, this.#backend);
    let sequence: Sequence | undefined;
    let flight: Flight | undefined;
    for (const row of rows) {
      if (row.sequence !== sequence) flight = this.#open.get((sequence = row.sequence));
      if (flight === undefined) throw this.#stranger(row.sequence, "row");
      if (!flight.rows.has(row))
        throw new FathomError(
          "invalid_request",
          `The row at position ${row.position} has been released, or is not the row that was made.`,
          "rows",
        );
    }
    checkDistinct(rows);
    return rows as readonly R[];
  }

  /** Rows that may run an iteration. @throws {FathomError} invalid_request */
  iterable(rows: readonly Row[]): readonly R[] {
    const own = this.rows(rows);
    checkIterations(own);
    return own;
  }

  /** Rows to read out, and heads among them. @param tokens whose logits are wanted @throws {FathomError} invalid_request, token_out_of_range */
  readable(rows: readonly Row[], heads: readonly Row[], tokens: readonly number[] = []): ReadableRows<R> {
    const own = this.rows(rows);
    checkHeads(own, heads);
    for (const token of tokens) checkToken(token, this.#backend.config, "tokens");
    return { rows: own, heads: heads as readonly R[] };
  }

  /** Rows whose attention is kept. @param moved for `pressure` @throws {FathomError} invalid_request */
  watched(rows: readonly Row[], moved?: Float32Array): readonly R[] {
    const own = this.rows(rows);
    checkAttention(own);
    if (moved !== undefined) checkMoved(own, moved);
    return own;
  }

  /** A sequence that may be cut to `length`. @throws {FathomError} invalid_request while rows or branches behind it are there */
  cuttable(sequence: Sequence, length: number): S {
    const own = this.own(sequence);
    checkLength(length);
    const { branches } = this.#open.get(sequence)!;
    if (branches > 0 && length < own.length) throw hasBranches(branches, "be cut");
    if (length < own.start)
      throw new FathomError(
        "invalid_request",
        `A branch that begins at position ${own.start} cannot be cut to ${length} positions: those before are its parent's.`,
        "length",
      );
    for (const { position } of this.#open.get(sequence)!.rows)
      if (position >= length)
        throw new FathomError(
          "invalid_request",
          `The sequence cannot be cut to ${length} positions while the row at position ${position} is in flight; release it first.`,
          "length",
        );
    return own;
  }

  /** The prompt's room is gone once one of its rows has been released and none is in flight any more. */
  #settlePrompt(sequence: Sequence, left: readonly Row[]): void {
    const flight = this.#open.get(sequence)!;
    const hasLeft = left.some((row) => row.sequence === sequence && row.position < flight.prompt);
    if (hasLeft && countBefore(flight.prompt, flight.rows) === 0) flight.prompt = 0;
  }

  /** @throws {FathomError} invalid_request where rows up to `end` would be more in flight than the sequence has room for */
  #checkRoom(sequence: Sequence, end: number): void {
    const { rows, prompt } = this.#open.get(sequence)!;
    const { capacity, rows: most = capacity } = sequence.options;
    const wanted = rows.size - countBefore(prompt, rows) + end - Math.max(sequence.length, prompt);
    if (end > prompt && wanted > most)
      throw new FathomError("invalid_request", `The sequence was opened for ${most} rows at once; release some first.`, "rows");
  }

  #stranger(sequence: Sequence, what: "sequence" | "row" = "sequence"): FathomError {
    if (!this.#closed.has(sequence)) return foreign(what);
    return new FathomError("invalid_request", what === "row" ? "The row's sequence is closed." : "The sequence is closed.", what);
  }
}

function hasBranches(count: number, what: string): FathomError {
  return new FathomError(
    "invalid_request",
    `The sequence has ${count} open branch${count === 1 ? "" : "es"} and cannot ${what} before ${count === 1 ? "it is" : "they are"} closed.`,
    "sequence",
  );
}

/** Rows at positions before one. */
function countBefore(position: number, rows: Iterable<Row>): number {
  let count = 0;
  if (position > 0) for (const row of rows) if (row.position < position) count++;
  return count;
}

function foreign(what: "sequence" | "row"): FathomError {
  return new FathomError("invalid_request", `The ${what} belongs to another backend; use it with the one that made it.`, what);
}
