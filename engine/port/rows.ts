/**
 * What goes through the port: sequences, rows and their states, as callers see them. What may be done with them, and when,
 * is written in backend.ts.
 */
import type { CacheStrategy } from "../cache-strategy.ts";

/** A value at once or later: backends in memory answer at once, devices later. */
export type MaybePromise<T> = T | Promise<T>;

/** What a sequence will need at most, and how its cache is shared. */
export interface SequenceOptions {
  /** Positions that the sequence may ever hold: prompt and completion, in tokens. From 1 to the model's context. */
  readonly capacity: number;
  /** The most core iterations that any of its positions will run, at least 0; sizes the core's part of the cache. */
  readonly maxIterations: number;
  /** How a position's keys and values are found at an iteration that it never ran. */
  readonly cache: CacheStrategy;
  /** Keep what every row attends to, for `pressure`. [default false] */
  readonly attention?: boolean;
  /**
   * Most rows of the sequence in flight at once, from 1 to `capacity`, those of `prompt` left out. Room for them is part
   * of the sequence, so that a sequence once open never fails for want of memory. [default capacity]
   */
  readonly rows?: number;
  /**
   * Positions from the start whose rows may be in flight together, beside `rows`; from 0 to `capacity`. Their room is
   * given back as soon as none of them is in flight any more; a row that comes back to such a position later is one of
   * `rows`. [default 0]
   */
  readonly prompt?: number;
  /**
   * What is kept beside, so that branches can read it as it was (`recall`); what rows themselves read is the same without.
   * For strategies whose iterations share one slot a layer, and backends that have `recall`. [default nothing]
   */
  readonly history?: HistoryOptions;
}

/** How much of a sequence's past is kept. */
export interface HistoryOptions {
  /**
   * Iterations whose keys and values are kept apart in the core, at least 1: so many times its part of the cache. Those of
   * later ones take the place of the last.
   */
  readonly iterations: number;
  /** Keep those of the coda apart, too, where positions pass it after several iterations. [default only the last] */
  readonly coda?: boolean;
}

/**
 * What a branch has of its own; its cache strategy is its parent's. `capacity` counts positions beyond where it begins, and
 * `rows` and `prompt` are as for a sequence that begins there.
 */
export interface BranchOptions extends Omit<SequenceOptions, "maxIterations" | "cache"> {
  /** The most core iterations of its own positions. Backends that have `recall` take another than the parent's. [default the parent's] */
  readonly maxIterations?: number;
  /**
   * How many of the parent's positions it sees, at least 1: it begins behind them. Backends that have `recall` take fewer
   * than all. [default all]
   */
  readonly from?: number;
}

/** One request's KV cache inside a backend. Opened and closed by the backend that owns it. */
export interface Sequence {
  /** A branch's: its own, and its parent's most iterations and cache strategy. */
  readonly options: SequenceOptions;
  /** The sequence that it is a branch of; undefined = none. */
  readonly parent?: Sequence | undefined;
  /** The first position of its own: 0, or the length that a branch's parent has. */
  readonly start: number;
  /** Positions taken so far, in tokens; rows in flight and a branch's ancestors included. The next input takes this position. */
  readonly length: number;
}

/** A latent state on the host: [width] f32. */
export type LatentState = Float32Array;

/** A token to be put at the end of a sequence. */
export interface RowInput {
  readonly sequence: Sequence;
  /** Token id, from 0 to vocabSize - 1. */
  readonly token: number;
  /**
   * Initial latent state s_0, [width] f32, finite; absent = zeros, or what the model's own recurrence begins with. Refused
   * where iterations begin with the state alone, which must be e.
   */
  readonly state?: LatentState | undefined;
}

/** A row in flight, made by `prelude`. Its buffers live in the backend until `release`; what it tells stays true. */
export interface Row {
  readonly sequence: Sequence;
  readonly position: number;
  readonly token: number;
  /** Core iterations done so far. */
  readonly iterations: number;
}

/** How far a row's state moved since it was last measured (or since s_0): what the latent exit rules read. */
export interface StateChange {
  /** ||s_t - s_prev||, f32 norm. */
  readonly distance: number;
  /** ||s_t|| */
  readonly norm: number;
  /** ||s_prev|| */
  readonly previousNorm: number;
  /** s_t . s_prev */
  readonly dot: number;
}
