/**
 * A chain of the primary backend's, journalled: what it made can be repeated on the fallback, where it ends.
 */
import type { LatentState } from "../port/backend.ts";
import type { ChainOptions, MadeToken, TokenChain } from "../port/chain.ts";
import type { Carried } from "./journal.ts";
import type { FailoverSequence } from "./rows.ts";

export class FailoverChain implements TokenChain {
  readonly sequence: FailoverSequence;
  readonly inner: TokenChain;
  readonly #startOf: (position: number) => LatentState | undefined | "raw" | "normalised";
  /** The token that enters next, and where. */
  #entering: number;
  #position: number;

  constructor(sequence: FailoverSequence, inner: TokenChain, { token, warmStart, initialState }: ChainOptions) {
    this.sequence = sequence;
    this.inner = inner;
    this.#startOf = warmStart === "off" ? initialState : () => warmStart;
    this.#entering = token;
    this.#position = sequence.length;
  }

  get left(): number {
    return this.inner.left;
  }

  get carried(): Carried | undefined {
    return this.sequence.carried;
  }

  /** Writes down what the primary backend made, as the rows that entered. */
  note(made: readonly MadeToken[]): void {
    for (const { token, iterations } of made) {
      const start = this.#startOf(this.#position++);
      this.sequence.journal.note({ kind: "made", sequence: this.sequence, token: { token: this.#entering, iterations, start } });
      this.#entering = token;
    }
  }
}
