/**
 * How much longer work takes on this host now than it was predicted to: one estimate for all requests of an isolate,
 * from all of their work. It reads the clock where work begins and ends; where clocks move at I/O alone (Workers) what
 * they show then is set against all work since. What else the thread does while work waits (writing answers)
 * counts as slowness, as it does for whoever waits; reading requests does not: newcomers leave time for that (inflow.ts).
 */
import { WorkMeter, type Clock } from "./clock.ts";

/** Predicted milliseconds of work after which a reading counts a third of what it did. */
const MEMORY_MS = 60;

/** Work that the assumption about a host stands for before any reading, in milliseconds. */
const PRIOR_MS = 5;

/**
 * How many times longer than usual a host is assumed to take whose clock moves and has not been read: its requests are
 * planned at the usual rate and rely on the clock, which says nothing before the first calls have ended. Where clocks
 * stand plans are made at the careful rate.
 */
const UNREAD = 2;

/** How much slower than predicted a host may be before its clock is no longer believed. */
const SLOWEST = 64;

/** Least work between two readings of the clock, in milliseconds: shorter ones tell of the clock, not of the host. */
const LEAST_MS = 0.5;

/** How far an answer that takes longer than expected moves `endingMs`; nineteen that do not take it back. */
const ENDING_STEP = 0.2;

export class HostPace {
  readonly #clock: Clock;
  readonly #meter: WorkMeter;
  /** Whether a scheduler tells of its calls. */
  hearsOfCalls = false;
  /** How many times longer work takes as long as no reading says otherwise. */
  readonly #assumed: number;
  #sums = { elapsed: 0, predicted: 0 };
  /** What is left of the assumption that was made before any reading. */
  #priorMs = PRIOR_MS;
  /** What nineteen of twenty answers take at most from their last iteration on, beyond the work that is left, in milliseconds. */
  endingMs = 0;
  #mark = { at: 0, predicted: 0, readMs: 0 };
  /** Work was waiting when the last ended, so that time since then is its time, too. */
  #isBusy = false;

  readonly #readMs: () => number;

  /**
   * @param meter counts all work that this hears of [default nobody does]
   * @param readMs milliseconds for which requests have been read so far [default none]
   */
  constructor(clock: Clock, meter = new WorkMeter(), readMs = () => 0) {
    this.#readMs = readMs;
    this.#clock = clock;
    this.#meter = meter;
    this.#assumed = clock.moves === true ? UNREAD : 1;
  }

  /** How many times longer than predicted, with care where little has been read; at least 1. */
  get slowdown(): number {
    return this.#slowdownFrom(this.#assumed);
  }

  /** How many times longer than predicted, taken without care: who is let in can be cut down later, who is refused cannot come back. */
  get expectedSlowdown(): number {
    return this.#slowdownFrom(1);
  }

  /** An answer has taken so much from its last iteration on, beyond the work that was left then. */
  ended(excessMs: number): void {
    const step = ENDING_STEP * (this.endingMs + 1);
    const beyond = excessMs - this.endingMs;
    this.endingMs = Math.max(0, this.endingMs + (beyond > 0 ? Math.min(beyond, step) : -step / 19));
  }

  /** Work begins. */
  begin(): void {
    this.hearsOfCalls = true;
    if (!this.#isBusy) this.#restart(this.#clock.now());
  }

  /** Work that was done in between. */
  add(predictedMs: number): void {
    this.#meter.add(predictedMs);
    if (this.#isBusy) this.#mark.predicted += predictedMs;
  }

  /** Work has ended. @param isMore whether further work waits already */
  end(predictedMs: number, isMore: boolean): void {
    this.#isBusy = isMore;
    this.#meter.add(predictedMs);
    this.#mark.predicted += predictedMs;
    const now = this.#clock.now();
    const elapsed = now - this.#mark.at - (this.#readMs() - this.#mark.readMs);
    if (!Number.isFinite(elapsed)) return;
    if (elapsed > 0 && this.#mark.predicted >= LEAST_MS) {
      this.#count(elapsed, this.#mark.predicted);
      this.#restart(now);
    }
  }

  #restart(at: number): void {
    this.#mark = { at, predicted: 0, readMs: this.#readMs() };
  }

  /** @param assumed how many times longer, as long as there are few readings */
  #slowdownFrom(assumed: number): number {
    const { elapsed, predicted } = this.#sums;
    return Math.max(1, (elapsed + assumed * this.#priorMs) / (predicted + this.#priorMs));
  }

  #count(elapsed: number, predicted: number): void {
    const kept = Math.exp(-predicted / MEMORY_MS);
    const believed = Math.min(elapsed, SLOWEST * predicted);
    this.#sums = { elapsed: this.#sums.elapsed * kept + believed, predicted: this.#sums.predicted * kept + predicted };
    this.#priorMs *= kept;
  }
}
