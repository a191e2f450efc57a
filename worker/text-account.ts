/**
 * What a request's text takes before the engine's work: charged to its deadline and its money as it is done, also where
 * no clock shows it, and ended where the time is over. Not here: how long a text may be (prompt-tokens.ts).
 */
import { InfeasibleError, SAFETY_MARGIN, type Grant } from "../engine/budget/grant.ts";
import { roundUp } from "../engine/budget/plan.ts";
import type { Timer } from "../engine/budget/clock.ts";
import type { SharedBudget } from "../engine/budget/shared-budget.ts";

/** A text that takes less is read to its end: then a refusal can name what would have been enough. */
const WORTH_ENDING_MS = 3;

export class TextAccount {
  readonly #sharedBudget: SharedBudget;
  readonly #timer: Timer;
  readonly #latencyMs: number;
  /** Predicted milliseconds that the text has taken so far. */
  ms = 0;

  constructor(sharedBudget: SharedBudget, timer: Timer, { latencyMs }: Pick<Grant, "latencyMs">) {
    this.#sharedBudget = sharedBudget;
    this.#timer = timer;
    this.#latencyMs = latencyMs;
  }

  /** @throws {InfeasibleError} where the request's time is over, and the text is not a short one */
  spend(ms: number): void {
    this.ms += ms;
    this.#sharedBudget.countText(ms);
    const { elapsedMs } = this.#timer;
    if (this.ms < WORTH_ENDING_MS || elapsedMs <= this.#latencyMs) return;
    const least = elapsedMs / (1 - SAFETY_MARGIN);
    throw new InfeasibleError(
      `The budget's time is over before the prompt has been read; it takes more than latency_ms ${roundUp(least)}.`,
      "budget.latency_ms",
      { units: 0, latencyMs: least },
    );
  }
}
