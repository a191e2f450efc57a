/**
 * Whether a request keeps its deadline: the work that is left, at the pace at which the host works now (host-pace.ts).
 * Without a timer nothing is ever late. Not here: work units and what they may be spent on (controller.ts), the others
 * that are to be served before (admission.ts).
 */
import type { Calibration } from "./calibration.ts";
import type { Timer } from "./clock.ts";
import type { Grant } from "./grant.ts";
import type { HostTerms } from "./host-terms.ts";

export class Pace {
  readonly #timer: Timer | undefined;
  readonly #grant: Grant;
  readonly #calibration: Calibration;
  readonly #terms: Pick<HostTerms, "slowdown" | "endingMs">;
  #expectedMs = Infinity;

  /** @param terms of the host: by default work takes as long as predicted, and answers end with it */
  constructor(timer: Timer | undefined, grant: Grant, calibration: Calibration, terms: Pick<HostTerms, "slowdown" | "endingMs"> = {}) {
    this.#timer = timer;
    this.#grant = grant;
    this.#calibration = calibration;
    this.#terms = terms;
  }

  /** An answer may end after so much more work. */
  expect(units: number): void {
    this.#expectedMs = (this.#timer?.elapsedMs ?? 0) + this.#usualMs(units);
  }

  /** Milliseconds by which the answer ended later than it was expected to last. */
  excessMs(): number {
    return (this.#timer?.elapsedMs ?? 0) - this.#expectedMs;
  }

  /** Whether the caller's time is over, safety margin included. */
  get isOverdue(): boolean {
    const { latencyMs } = this.#grant.budget;
    return latencyMs !== undefined && this.#timer !== undefined && this.#timer.elapsedMs > latencyMs;
  }

  /** Whether so much more work misses the deadline at the usual rate, or eats up the safety margin at the careful one. */
  misses(units: number): boolean {
    if (this.#timer === undefined) return false;
    const { elapsedMs } = this.#timer;
    const { latencyMs, budget, msPerUnit } = this.#grant;
    const usualMs = this.#usualMs(units);
    const carefulMs = Math.max(usualMs, units * Math.max(msPerUnit, this.#calibration.msPerUnit.p95));
    return (
      elapsedMs + usualMs > latencyMs ||
      elapsedMs + Math.max(carefulMs, usualMs + (this.#terms.endingMs?.() ?? 0)) > (budget.latencyMs ?? Infinity)
    );
  }

  #usualMs(units: number): number {
    return (this.#terms.slowdown?.() ?? 1) * units * this.#grant.msPerUnit;
  }
}
