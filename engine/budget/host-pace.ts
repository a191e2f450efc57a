/**
 * How much longer work takes on this host now than it was predicted to: one estimate for all requests of an isolate,
 * from all of their work. It reads the clock where work begins and ends; where clocks move at I/O alone (Workers) what
 * they show then is set against all work since. What else the thread does while work waits (reading requests, writing
 * answers) counts as slowness, as it does for whoever waits.
 */
import type { Clock } from "./clock.ts";

/** Predicted milliseconds of work after which a reading counts a third of what it did. */
const MEMORY_MS = 60;

/** Work that the calibration stands for at the start, in milliseconds. */
const PRIOR_MS = 20;

/** How much slower than predicted a host may be before its clock is no longer believed. */
const SLOWEST = 64;

/** Least work between two readings of the clock, in milliseconds: shorter ones tell of the clock, not of the host. */
const LEAST_MS = 0.5;

export class HostPace {
  readonly #clock: Clock;
  #sums = { elapsed: PRIOR_MS, predicted: PRIOR_MS };
  #mark = { at: 0, predicted: 0 };
  /** Work was waiting when the last ended, so that time since then is its time, too. */
  #isBusy = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many times longer than predicted; at least 1. */
  get slowdown(): number {
    return Math.min(SLOWEST, Math.max(1, this.#sums.elapsed / this.#sums.predicted));
  }

  /** Work begins. */
  begin(): void {
    if (this.#isBusy) return;
    this.#mark = { at: this.#clock.now(), predicted: 0 };
  }

  /** Work that was done in between. */
  add(predictedMs: number): void {
    if (this.#isBusy) this.#mark.predicted += predictedMs;
  }

  /** Work has ended. @param isMore whether further work waits already */
  end(predictedMs: number, isMore: boolean): void {
    this.#isBusy = isMore;
    this.#mark.predicted += predictedMs;
    const now = this.#clock.now();
    const elapsed = now - this.#mark.at;
    if (!Number.isFinite(elapsed)) return;
    if (elapsed > 0 && this.#mark.predicted >= LEAST_MS) {
      this.#count(Math.min(elapsed, SLOWEST * this.#mark.predicted), this.#mark.predicted);
      this.#mark = { at: now, predicted: 0 };
    }
  }

  #count(elapsed: number, predicted: number): void {
    const kept = Math.exp(-predicted / MEMORY_MS);
    this.#sums = { elapsed: this.#sums.elapsed * kept + elapsed, predicted: this.#sums.predicted * kept + predicted };
  }
}
