/**
 * Requests that have come and that nobody has judged yet: what reading them takes of the thread is time that newcomers
 * leave, as many milliseconds, whatever else is admitted, and none once they are read. While the engine computes, a turn of
 * the host reads for so long and no longer. One account for an isolate. Not here: how slow the engine's own work is
 * (host-pace.ts).
 */
import type { Clock } from "./clock.ts";

/** What a request takes before any has been seen, in milliseconds: 0.3 to 0.6 in `fathom serve`, 64 at once. */
const FIRST_MS = { moving: 0.4, standing: 0.2 };

/** How far one request moves the estimate, relative to it, and what one is believed to take at most, in milliseconds. */
const [STEP, MOST_MS] = [0.05, 3];

/** Milliseconds within which a request is judged, unless its body is slow to come or it has died. */
const COMES_WITHIN_MS = 100;

/** What the thread may have computed meanwhile where its clock stands still: a stretch of calls, in milliseconds. */
const STRETCH_MS = 2;

/** Requests that are read between two stretches of calls. */
const READ_AT_ONCE = 8;

/** A request that has come. */
export interface Newcomer {
  /** The clock's reading when its handler began. */
  readonly handledMs: number;
  /** The reading at which it came at the latest, as the thread may have computed while it waited. */
  readonly cameMs: number;
}

export class Inflow {
  readonly #clock: Clock;
  /** Requests that have come and have been neither let in nor refused, the first one first. */
  readonly #unjudged = new Set<Newcomer>();
  /** The reading since which the thread may not have let the host in; undefined while it does not compute. */
  #closedSinceMs: number | undefined;
  /** Requests that have been read since then. */
  #read = 0;
  /** Steps of all requests so far: each comes, and is judged. */
  steps = 0;
  /** Milliseconds of the thread that a request takes beside the engine's work: what four of five that follow each other take at most. */
  eachMs: number;
  /** The reading at which the last one was judged while others waited. */
  #judgedMs = NaN;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.eachMs = clock.moves === true ? FIRST_MS.moving : FIRST_MS.standing;
  }

  /** A request has come. */
  came(): Newcomer {
    const handledMs = this.#clock.now();
    const closedMs =
      this.#clock.moves === true ? this.#closedSinceMs : this.#closedSinceMs === undefined ? undefined : handledMs - STRETCH_MS;
    const newcomer = { handledMs, cameMs: Math.min(handledMs, closedMs ?? handledMs) };
    this.steps++;
    this.#unjudged.add(newcomer);
    return newcomer;
  }

  /** A request has been let in or refused, or has gone. */
  judged(newcomer: Newcomer): void {
    if (!this.#unjudged.delete(newcomer)) return;
    this.steps++;
    const nowMs = this.#clock.moves === true ? this.#clock.now() : NaN;
    const ms = nowMs - this.#judgedMs;
    if (ms > 0) this.eachMs = Math.min(MOST_MS, this.eachMs * (ms > this.eachMs ? 1 + 4 * STEP : 1 - STEP));
    this.#judgedMs = this.#unjudged.size > 0 ? nowMs : NaN;
  }

  /** The thread has let the host in, and computes again; undefined: it does not. */
  closed(sinceMs: number | undefined): void {
    this.#closedSinceMs = sinceMs;
    this.#read = 0;
  }

  /** Whether a request may be read in this turn of the host, or waits for the next: whoever was let in asks for the thread, too. */
  mayRead(): boolean {
    return this.#closedSinceMs === undefined || this.#read++ < READ_AT_ONCE;
  }

  /** Milliseconds that reading those takes who wait to be judged, the one that is being judged aside. */
  get comingMs(): number {
    const sinceMs = this.#clock.now() - COMES_WITHIN_MS;
    for (const newcomer of this.#unjudged) {
      if (newcomer.handledMs >= sinceMs) break;
      this.#unjudged.delete(newcomer);
    }
    return Math.max(0, this.#unjudged.size - 1) * this.eachMs;
  }
}
