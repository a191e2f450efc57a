/**
 * Whether a request keeps its deadline: the work that is left, at the pace at which the host works now (host-pace.ts).
 * Without a timer nothing is ever late. Not here: work units and what they may be spent on (controller.ts), the others
 * that are to be served before (admission.ts).
 */
import type { Calibration } from "./calibration.ts";
import type { Timer } from "./clock.ts";
import type { Grant } from "./grant.ts";

export class Pace {
  readonly #timer: Timer | undefined;
  readonly #grant: Grant;
  readonly #calibration: Calibration;
  readonly #slowdown: () => number;

  /** @param slowdown how much longer than predicted work takes on this host now [default as predicted] */
  constructor(timer: Timer | undefined, grant: Grant, calibration: Calibration, slowdown: () => number = () => 1) {
    this.#timer = timer;
    this.#grant = grant;
    this.#calibration = calibration;
    this.#slowdown = slowdown;
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
    const usualMs = this.#slowdown() * units * msPerUnit;
    const carefulMs = Math.max(usualMs, units * Math.max(msPerUnit, this.#calibration.msPerUnit.p95));
    return elapsedMs + usualMs > latencyMs || elapsedMs + carefulMs > (budget.latencyMs ?? Infinity);
  }
}
