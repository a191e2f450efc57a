/**
 * What limited an answer, gathered while it is made and told at the end, in one word and truthfully.
 */
import { FathomError } from "../errors.ts";
import type { LimitCause, Grant, LimitedBy } from "./grant.ts";

export class LimitRecord {
  /** No further token could be had. */
  ended: LimitCause | undefined;
  /** A call stopped thinking early. */
  cut: LimitCause | undefined;
  #capped: "total" | "iterations" | undefined;
  /** What had a cheaper exit rule than the card's chosen to make ends meet. */
  loosenedBy: LimitCause | undefined;

  /** A call reached its limit of iterations without having converged. The cap on all of them weighs more: it cut deeper. */
  cap(cause: "total" | "iterations"): void {
    if (this.#capped !== "total") this.#capped = cause;
  }

  /** What matters most comes first; null: the model itself was content. */
  limitedBy(grant: Grant, finish: "stop" | "length", tokens: number): LimitedBy | null {
    const isFull = finish === "length" && tokens >= grant.tokens;
    const cause = this.ended ?? this.cut ?? this.#capped ?? (isFull ? "tokens" : this.loosenedBy);
    if (cause === undefined) return null;
    if (grant.ceilings.has(cause)) return "ceiling";
    return cause === "total" ? "iterations" : cause;
  }
}

export function exhausted(cause: LimitCause): FathomError {
  const what = cause === "total" ? "iterations" : cause;
  return new FathomError("budget_exhausted", `The budget ran out (${what}), and on_exhausted is "error"; allow more.`, "budget");
}
