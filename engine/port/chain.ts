/**
 * Tokens that a backend makes by itself, several before it comes back: an optional capability of the port, for devices
 * whose every answer costs a round trip. Greedy decoding only; what a device cannot decide (sampling, log-probabilities,
 * exit rules that read logits) goes through the port's calls, step by step.
 */
import type { ExitRule } from "../exit-rule.ts";
import type { LatentState, Row, Sequence } from "./rows.ts";

/** Where a chain of tokens made on a device begins, and when it ends. */
export interface ChainOptions {
  /** The last row of its sequence, read out and not yet released. It is the chain's from then on, and released by no one. */
  readonly row: Row;
  /** The token that `row` predicted: the first to enter. */
  readonly token: number;
  /** Most tokens that the chain will make. */
  readonly maxTokens: number;
  readonly exit: ExitRule;
  /** A chain ends with the first of these; later tokens are not made. */
  readonly stopTokens: ReadonlySet<number>;
  /** What a new token's state starts from: `initialState`, or the state of the token before, raw or normalised. */
  readonly warmStart: "off" | "raw" | "normalised";
  /** s_0 by absolute position, [width] f32; undefined = zeros. Used without warm start. */
  readonly initialState: (position: number) => LatentState | undefined;
}

/** A sequence whose next tokens its backend makes. It ends with its sequence, which takes no rows of others until it fell short. */
export interface TokenChain {
  readonly sequence: Sequence;
  /** Tokens that may still be asked for. */
  readonly left: number;
  /**
   * Where the chain fell short: the state that the last position ended with, [width] f32 in both forms, for a warm start
   * of the next. [default not known]
   */
  readonly carried?: { readonly raw: LatentState; readonly normalised: LatentState } | undefined;
}

/** A token that a chain made: what entered before it has run and is in the cache. */
export interface MadeToken {
  readonly token: number;
  /** Core iterations of the position that predicted it. */
  readonly iterations: number;
  /** The exit rule said stop, before the limit or at it. */
  readonly exited: boolean;
  /** The criterion's value at every checked iteration, f32. */
  readonly exitValues: readonly number[];
}

/** The capability: both members or neither. `generate` asks for it by presence. */
export interface TokenMaker {
  /**
   * Begins a chain at a sequence's last row. Returns undefined, and leaves the row alone, where the backend cannot decide
   * this exit rule.
   * @throws {FathomError} invalid_request for a row that is not its sequence's last, and as all of the port's calls
   */
  openChain(options: ChainOptions): TokenChain | undefined;
  /**
   * Makes the next tokens of several chains in one go; may be called again before the answer is there.
   * @param limits most iterations of each token to make, one list a chain, no longer than its `left`
   * @returns by chain the tokens made, fewer than asked for where a stop token came, or where the backend cannot go on
   *   with the chain: then the sequence holds what was made, and the rest goes step by step. After out_of_memory the
   *   chains are at an end, and their sequences hold what was made before
   * @throws {FathomError} invalid_request where more tokens are asked for than are left, or more iterations than the
   *   sequence was opened for; unavailable, out_of_memory
   */
  makeTokens(chains: readonly TokenChain[], limits: readonly (readonly number[])[]): Promise<(readonly MadeToken[])[]>;
}
