/**
 * How much longer work takes on this host now than it was predicted to: one estimate for all requests of an isolate,
 * from all of their work. It reads the clock where work begins and ends; where clocks move at I/O alone (Workers) what
 * they show then is set against all work since. What else the thread does while work waits (reading requests, writing
 * answers) counts as slowness, as it does for whoever waits; the calls by themselves are a second estimate.
 */
import type { Clock } from "./clock.ts";

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

/** The same of calls alone under a clock that need not move with them, or moves by whole milliseconds (local workerd). */
const LEAST_STANDING_MS = 20;

export class HostPace {
  readonly #clock: Clock;
  /** How many times longer work takes as long as no reading says otherwise. */
  readonly #assumed: number;
  readonly #all = new Readings();
  readonly #calls = new Readings();
  #mark = { at: 0, predicted: 0 };
  /** When the call under way began, and what calls took that have not been counted yet. */
  #call = { at: 0, elapsed: 0, predicted: 0 };
  /** Work was waiting when the last ended, so that time since then is its time, too. */
  #isBusy = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#assumed = clock.moves === true ? UNREAD : 1;
  }

  /** How many times longer than predicted, with care where little has been read; at least 1. */
  get slowdown(): number {
    return this.#all.slowdownFrom(this.#assumed);
  }

  /** The same without care: who is let in can be cut down later, who is refused cannot come back. */
  get expectedSlowdown(): number {
    return this.#all.slowdownFrom(1);
  }

  /** That of calls alone, without what the thread does between them; 1 where the clock does not show it. */
  get callSlowdown(): number {
    return this.#calls.slowdownFrom(this.#assumed);
  }

  /** Work begins. */
  begin(): void {
    const now = this.#clock.now();
    this.#call.at = now;
    if (!this.#isBusy) this.#mark = { at: now, predicted: 0 };
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
    this.#countCall(now - this.#call.at, predictedMs);
    const elapsed = now - this.#mark.at;
    if (!Number.isFinite(elapsed)) return;
    if (elapsed > 0 && this.#mark.predicted >= LEAST_MS) {
      this.#all.count(elapsed, this.#mark.predicted);
      this.#mark = { at: now, predicted: 0 };
    }
  }

  #countCall(elapsed: number, predictedMs: number): void {
    if (!(elapsed >= 0)) return;
    this.#call.elapsed += elapsed;
    this.#call.predicted += predictedMs;
    if (this.#call.predicted < (this.#clock.moves === true ? LEAST_MS : LEAST_STANDING_MS)) return;
    this.#calls.count(this.#call.elapsed, this.#call.predicted);
    this.#call = { at: 0, elapsed: 0, predicted: 0 };
  }
}

/** What work took against what was predicted, the latest counting most. */
class Readings {
  #sums = { elapsed: 0, predicted: 0 };
  /** What is left of the assumption that was made before any reading. */
  #priorMs = PRIOR_MS;

  /** @param assumed how many times longer, as long as there are few */
  slowdownFrom(assumed: number): number {
    const { elapsed, predicted } = this.#sums;
    return Math.min(SLOWEST, Math.max(1, (elapsed + assumed * this.#priorMs) / (predicted + this.#priorMs)));
  }

  count(elapsed: number, predicted: number): void {
    const kept = Math.exp(-predicted / MEMORY_MS);
    const believed = Math.min(elapsed, SLOWEST * predicted);
    this.#sums = { elapsed: this.#sums.elapsed * kept + believed, predicted: this.#sums.predicted * kept + predicted };
    this.#priorMs *= kept;
  }
}
