/**
 * THE PORT. What every backend (reference, Wasm, WebGPU, ONNX) offers to the token loop and the scheduler; a scheduler's
 * lane and a failover backend offer the same. It knows rows, states and caches; it knows nothing of exit rules, budgets,
 * samplers, clocks or HTTP.
 *
 * A row is one token position of one sequence at its own depth. All rows share the core's weights at every iteration, so
 * rows of different sequences, positions and depths go through one call together. A row's result never depends on which
 * other rows share its call, nor on what other sequences are open.
 *
 * What holds for every member:
 * - After an error nothing has changed: no position is taken, no row has moved, no byte is held. The call may be made
 *   again, put right or elsewhere. Only `unavailable` ends a backend: its device or runtime is gone, and every later call
 *   says so again.
 * - Sequences and rows belong to the backend (or lane) that made them, until they are closed or released. Whoever hands
 *   in another one's, one of a closed sequence, a released row, or a row twice in a call gets invalid_request.
 * - What is handed in is copied: a caller may change its arrays once the call has returned or resolved. What is given
 *   out is the caller's own.
 * - A sequence is in one call at a time: the next call with its rows waits for the last one's promise.
 * - Calls without rows do nothing.
 *
 * test/port/ holds all of it against every implementation; the checks themselves are in checks.ts and sequences.ts.
 */
import type { SignalWord } from "../cpu-signal.ts";
import type { ModelConfig } from "../model/config.ts";
import type { TokenMaker } from "./chain.ts";
import type { Reclaimable } from "./reclaimable.ts";
import type { BranchOptions, LatentState, MaybePromise, Row, RowInput, Sequence, SequenceOptions, StateChange } from "./rows.ts";

export type * from "./rows.ts";

/** Names of the backends of this package. */
export type BackendName = "reference" | "wasm" | "webgpu" | "onnx";

/** Where a backend's bytes are. The sum of `owners` is `usedBytes`. */
export interface MemoryLedger {
  readonly usedBytes: number;
  readonly peakBytes: number;
  readonly limitBytes: number;
  readonly owners: Readonly<Record<string, number>>;
}

/** How likely an iteration is the last: sigmoid(weight . s_t + bias). */
export interface ExitGate {
  /** [width] f32 */
  readonly weight: Float32Array;
  readonly bias: number;
}

/** What computes a model: prelude, core iterations and readout over rows of any sequences. All vectors are f32. */
export interface Backend extends Partial<TokenMaker> {
  readonly name: BackendName;
  readonly config: ModelConfig;

  /** Most rows that one call may carry. A wider call is an invalid_request. */
  readonly maxRows: number;

  /**
   * Bytes that such a sequence and its rows would take; the same figure that `openSequence`, or `branch`, will account for.
   * @param start the length of the parent, for a branch: what the parent holds is not counted again [default 0]
   */
  sequenceBytes(options: SequenceOptions, start?: number): number;

  /**
   * Takes all the memory that the sequence and its rows will ever need: no later call on it fails for want of memory,
   * but on WebGPU, whose row buffers grow with the calls.
   * @throws {FathomError} out_of_memory; invalid_request or context_overflow naming the option that is out of range
   */
  openSequence(options: SequenceOptions): Sequence;

  /**
   * Opens a sequence that begins where its parent ends. Its rows take the positions parent.length, +1, ... and see the
   * parent's (and its ancestors') keys and values, which are not copied, beside its own: as if parent and branch were one
   * plain sequence. Siblings take the same positions and see nothing of each other. A branch may have branches.
   *
   * Rows of a parent in flight may go on, in a call with rows of its branches, too, which read at every iteration what the
   * parent has written by then: so under a strategy whose iterations share slots, a branch behind a finished parent reads
   * the parent's last iteration, one beside its rows the one of the same call. But while a sequence has open branches it takes no further positions, and can be neither
   * cut nor closed: what they read stays where it is.
   * @param options `capacity`: positions beyond the parent's
   * @throws {FathomError} out_of_memory; invalid_request or context_overflow naming the option that is out of range
   * @example
   * const input = backend.openSequence({ capacity: 20, maxIterations: 8, cache });
   * // ... the input's rows run, and are released
   * const options = texts.map((tokens) => backend.branch(input, { capacity: tokens.length }));
   */
  branch(parent: Sequence, options: BranchOptions): Sequence;

  /**
   * Lets rows of a branch, and of its own branches, read what ancestors with a `history` hold as it was when each position
   * had run so many core iterations; where it has run fewer, or these are not kept, as it is. What ancestors without one hold, and the branch
   * itself, is read as it is. Backends that keep no history leave it out, and with it `history`, `from` and a branch's own
   * `maxIterations`.
   * @param iterations by position, from position 0 on, at least 1 each; undefined: everything as it is
   * @throws {FathomError} invalid_request for a sequence that is no branch, and more positions than it inherits
   */
  recall?(sequence: Sequence, iterations: ArrayLike<number> | undefined): void;

  /** Counts an open sequence under `prefixes` in the ledger from now on: one that no request holds, kept for later ones. */
  setAside?(sequence: Sequence): void;

  /**
   * Gives back the cache and every row still in flight. A sequence that is closed already stays so: nothing happens.
   * @throws {FathomError} invalid_request for another backend's sequence, and while it has open branches
   */
  closeSequence(sequence: Sequence): void;

  /**
   * Forgets every position from `length` on. A sequence that is no longer than that stays as it is.
   * @param length whole positions, at least 0
   * @throws {FathomError} invalid_request where rows at those positions are in flight: release them first; where the
   *   sequence has open branches, or is one and would lose what is its parent's
   */
  truncate(sequence: Sequence, length: number): void;

  /**
   * Embeds tokens, runs the prelude blocks and sets the initial state. Inputs of one sequence take the positions
   * sequence.length, +1, ... in the order given.
   * @returns a row for each input, in the order given, with no iterations behind it
   * @throws {FathomError} token_out_of_range, context_overflow (the capacity is used up), invalid_request (a state of
   *   another length, or not finite; more rows in flight than the sequence was opened for; a sequence with open
   *   branches); WebGPU: out_of_memory
   */
  prelude(inputs: readonly RowInput[]): MaybePromise<Row[]>;

  /**
   * One core iteration for each row, at the row's own depth: s_{t+1} = core(adapter([s_t, e])). Rows of a call write
   * their keys and values of a layer before any of them reads.
   * @throws {FathomError} invalid_request where a row has run `maxIterations` of its sequence; missing_cache where a
   *   strategy without lookup does not find what a row must read
   */
  iterate(rows: readonly Row[]): MaybePromise<void>;

  /**
   * Measures each row's state against its state at the last call (at first s_0), and remembers the new one.
   * @returns one change a row, in the order given
   */
  measure(rows: readonly Row[]): MaybePromise<StateChange[]>;

  /**
   * How much news reaches each row: what moved at each position, times how strongly the row attended to it in its own
   * last core iteration (the largest weight over heads and core layers; 0 where it saw nothing, or has run none),
   * summed. Backends that cannot tell leave it out, and with it the exit rule rest-wake.
   * @param moved by position, at least [row.position + 1] f32 for every row
   * @returns one number a row, in the order given
   * @throws {FathomError} invalid_request for sequences opened without `attention`, and where `moved` is too short
   */
  pressure?(rows: readonly Row[], moved: Float32Array): MaybePromise<Float32Array>;

  /**
   * ln_f, coda and ln_f over `rows` (their coda keys and values are written; may be repeated for a position), then
   * the head over `heads`.
   * @param heads  a subset of `rows`, each once, in any order; may be empty
   * @param tokens the only ones whose logits are wanted, in any order: the same bits for less work [default all]
   * @returns logits, one [vocabSize] f32 array a head, in the order of `heads`; with `tokens` [tokens.length], in theirs
   * @throws {FathomError} invalid_request where a head is not among the rows; token_out_of_range
   */
  readout(rows: readonly Row[], heads: readonly Row[], tokens?: readonly number[]): MaybePromise<Float32Array[]>;

  /**
   * `readout` without the logits: the token of the largest logit for each head, of equals the first. Backends that would
   * have to copy the logits anyway leave it out.
   * @throws {FathomError} not_finite where a logit is NaN, or the largest not finite; as `readout`
   */
  argmax?(rows: readonly Row[], heads: readonly Row[]): MaybePromise<number[]>;

  /** The model's learned exit gate, for the exit rule of that name; undefined: it has none. */
  readonly exitGate?: ExitGate | undefined;

  /**
   * A copy of the row's latent state: raw s_t, or as the coda takes it in, which the reference calls `latent_states`: ln_f(s_t),
   * where the model has a norm there.
   */
  latent(row: Row, form: "raw" | "normalised"): MaybePromise<LatentState>;

  /**
   * Gives the rows' buffers back. Their keys and values stay in the cache. Rows that have been released, or whose
   * sequence is closed, are passed over.
   * @throws {FathomError} invalid_request for another backend's rows
   */
  release(rows: readonly Row[]): void;

  memory(): MemoryLedger;

  /**
   * Counts in the ledger, from now on, what a user keeps beside the backend, which gives way before anything is refused
   * for want of memory. Backends whose limit is none of the host's memory leave it out.
   */
  countReclaimable?(kept: Reclaimable): void;

  /** The word that the host's runtime writes into, where this backend has one. */
  readonly cpuSignal?: SignalWord | undefined;
}

/** What a backend lets tests, tracing and the diffusion sampler see and set besides: not needed to generate. */
export interface Inspectable {
  /** e, the prelude's output, [width] f32. */
  embedded(row: Row): MaybePromise<Float32Array>;
  /** Replaces e, for samplers that blend embeddings over time. @throws {FathomError} invalid_request as for a state */
  setEmbedded(row: Row, embedded: Float32Array): MaybePromise<void>;
  /** The head's input, [width] f32. @throws {FathomError} invalid_request for a row that was no head of its last readout */
  headInput(row: Row): MaybePromise<Float32Array>;
  /** What `pressure` weighs with: by position, [row.position + 1] f32. @throws {FathomError} as `pressure` */
  attention(rows: readonly Row[]): MaybePromise<Float32Array[]>;
  /**
   * Cached key and value of a position in a slot, [kvHeads * headDim] f32 each.
   * @param slot the reference's number: prelude from 0, then core, coda from -1 downwards
   * @throws {FathomError} missing_cache where the position never wrote it
   */
  cached(sequence: Sequence, slot: number, position: number): MaybePromise<{ key: Float32Array; value: Float32Array }>;
  /** Slots that hold anything, ascending, in the reference's numbers. */
  cachedSlots(sequence: Sequence): number[];
}
