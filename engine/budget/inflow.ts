/**
 * Requests that come: how many of late, and what reading and answering one takes of the thread beside the engine's work.
 * Together they say which share of the time before a deadline goes to requests that nobody has seen yet: in a burst most of
 * it. One estimate for an isolate. Not here: how slow the engine's own work is (host-pace.ts).
 */
import type { Clock } from "./clock.ts";

/** What comes now is what came within so many milliseconds, and what comes usually is the mean over so many. */
const [NOW_MS, USUAL_MS] = [6, 500];

/** What a request takes before any reading, in milliseconds: a refusal took 0.6 to 1.6 ms in `fathom serve`, 64 at once. */
const FIRST_MS = 0.6;

/** Arrivals that are looked at: as many within the shorter time set aside all that is ever set aside. */
const MOST_TIMES = 256;

/** Requests after which a reading counts a third of what it did. */
const MEMORY = 200;

/** Largest share of the time that is set aside for those who may come. */
const MOST_SHARE = 0.85;

/** What one request can be believed to take, in milliseconds. */
const MOST_EACH_MS = 3;

export class Inflow {
  readonly #clock: Clock;
  /** Arrivals within the shorter time. */
  readonly #times: number[] = [];
  /** Requests a millisecond, usually, as of the last arrival. */
  #usual = { rate: 0, atMs: -Infinity };
  #sums = { ms: FIRST_MS * 20, requests: 20 };
  /** Requests that have come so far. */
  count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds of the thread that a request takes beside the engine's work. */
  get eachMs(): number {
    return Math.min(MOST_EACH_MS, this.#sums.ms / this.#sums.requests);
  }

  /** A request has come. */
  came(): void {
    const nowMs = this.#clock.now();
    this.count++;
    this.#times.push(nowMs);
    this.#forgetBefore(nowMs - NOW_MS);
    this.#usual = { rate: this.#usualRate(nowMs) + 1 / USUAL_MS, atMs: nowMs };
  }

  /** A turn of the host in which no engine work was done took so long for so many requests. */
  took(ms: number, requests: number): void {
    if (!(ms > 0) || requests < 2) return;
    const kept = Math.exp(-requests / MEMORY);
    this.#sums = { ms: this.#sums.ms * kept + ms, requests: this.#sums.requests * kept + requests };
  }

  /** How much longer than usual work takes if requests go on coming as they do now, the last one aside. */
  get slowdown(): number {
    const nowMs = this.#clock.now();
    this.#forgetBefore(nowMs - NOW_MS);
    const left = (rate: number): number => 1 - Math.min(MOST_SHARE, rate * this.eachMs);
    return Math.max(1, left(this.#usualRate(nowMs)) / left(Math.max(0, this.#times.length - 1) / NOW_MS));
  }

  /** Arrivals up to then, and more than would change anything. */
  #forgetBefore(ms: number): void {
    while (this.#times.length > 0 && (this.#times.length > MOST_TIMES || !(this.#times[0]! > ms))) this.#times.shift();
  }

  #usualRate(nowMs: number): number {
    return this.#usual.rate * Math.exp(-Math.max(0, nowMs - this.#usual.atMs) / USUAL_MS);
  }
}
