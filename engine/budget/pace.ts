/**
 * Whether a request keeps its deadline: predicted time, stretched by how much slower a moving clock says that the host
 * is. Without a timer nothing is ever late. Not here: work units and what they may be spent on (controller.ts).
 */
import type { Calibration } from "./calibration.ts";
import type { Timer } from "./clock.ts";
import type { Grant } from "./grant.ts";

/** How often a host may serve other requests between two of our iterations before we no longer believe it. */
const LARGEST_SLOWDOWN = 64;

export class Pace {
  readonly #timer: Timer | undefined;
  readonly #grant: Grant;
  readonly #calibration: Calibration;
  /** How much slower time passes than this request's own work would explain: others are served in between. */
  #slowdown = 1;
  #seen = { elapsedMs: 0, units: 0 };

  constructor(timer: Timer | undefined, grant: Grant, calibration: Calibration) {
    this.#timer = timer;
    this.#grant = grant;
    this.#calibration = calibration;
  }

  /** Whether the caller's time is over, safety margin included. */
  get isOverdue(): boolean {
    const { latencyMs } = this.#grant.budget;
    return latencyMs !== undefined && this.#timer !== undefined && this.#timer.elapsedMs > latencyMs;
  }

  /** @param units that this request has spent so far */
  observe(units: number): void {
    if (this.#timer === undefined) return;
    const { elapsedMs } = this.#timer;
    const ownMs = (units - this.#seen.units) * this.#grant.msPerUnit;
    const pace = ownMs > 0 ? Math.min(LARGEST_SLOWDOWN, (elapsedMs - this.#seen.elapsedMs) / ownMs) : 1;
    this.#slowdown = Math.max(1, (this.#slowdown + pace) / 2);
    this.#seen = { elapsedMs, units };
  }

  /** Whether so much more work misses the deadline at the usual rate, or eats up the safety margin at the careful one. */
  misses(units: number): boolean {
    if (this.#timer === undefined) return false;
    const { elapsedMs } = this.#timer;
    const { latencyMs, budget, msPerUnit } = this.#grant;
    const usualMs = this.#slowdown * units * msPerUnit;
    const carefulMs = Math.max(usualMs, units * Math.max(msPerUnit, this.#calibration.msPerUnit.p95));
    return elapsedMs + usualMs > latencyMs || elapsedMs + carefulMs > (budget.latencyMs ?? Infinity);
  }
}
