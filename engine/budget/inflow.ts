/**
 * Requests that have come and that nobody has judged yet: what reading them takes of the thread is time that newcomers
 * leave, as many milliseconds, whatever else is admitted, and none once they are read. While the engine computes, a turn of
 * the host reads for so long and no longer. One account for an isolate. Not here: how slow the engine's own work is
 * (host-pace.ts).
 */
import type { Clock } from "./clock.ts";

/** What a request takes before any has been seen, in milliseconds; 0.2 to 0.6 in `fathom serve`, 64 at once, is learned within one burst. */
const FIRST_MS = 0.15;

/** How far one request moves the estimate, and what one is believed to take at most, in milliseconds. */
const [STEP, MOST_MS] = [0.05, 3];

/** Milliseconds within which a request is judged, unless its body is slow to come or it has died. */
const COMES_WITHIN_MS = 100;

/** What the thread may have computed meanwhile where its clock stands still: a stretch of calls, in milliseconds. */
const STRETCH_MS = 2;

/** Steps of reading, two a request, between two stretches of calls: at most, and at least however little time deadlines leave. */
const MOST_STEPS = 24;
const LEAST_STEPS = 8;

/** Steps for as much time as deadlines leave as a request takes: a fourth of it. */
const SLACK_SHARE = 1 / 2;

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
  /** Steps of reading since then, and how many there may be. */
  #read = 0;
  #most = MOST_STEPS;
  /** Steps of all requests so far: each comes, and is judged. */
  steps = 0;
  /** Milliseconds of the thread that a request takes beside the engine's work: the mean of those that follow each other. */
  eachMs = FIRST_MS;
  /** The reading at which the last one was judged while others waited. */
  #judgedMs = NaN;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A request has come. */
  came(): Newcomer {
    const handledMs = this.#clock.now();
    const waitedMs = this.#closedSinceMs === undefined ? 0 : this.#clock.moves === true ? handledMs - this.#closedSinceMs : STRETCH_MS;
    const newcomer = { handledMs, cameMs: handledMs - Math.max(0, waitedMs) };
    this.steps++;
    this.#unjudged.add(newcomer);
    return newcomer;
  }

  /** A request has been let in or refused, or has gone. */
  judged(newcomer: Newcomer): void {
    if (!this.#unjudged.delete(newcomer)) return;
    this.steps++;
    const nowMs = this.#clock.now();
    const ms = nowMs - this.#judgedMs;
    if (ms >= 0) this.eachMs += STEP * (Math.min(ms, MOST_MS) - this.eachMs); // the mean: clocks may show whole steps alone
    this.#judgedMs = this.#unjudged.size > 0 ? nowMs : NaN;
  }

  /**
   * The thread has let the host in, and computes again; undefined: it does not.
   * @param slackMs what could be done first without making a deadline late [default no deadline waits]
   */
  closed(sinceMs: number | undefined, slackMs = Infinity): void {
    this.#closedSinceMs = sinceMs;
    this.#judgedMs = NaN;
    this.#read = 0;
    this.#most = Math.max(LEAST_STEPS, Math.min(MOST_STEPS, (SLACK_SHARE * slackMs) / this.eachMs));
  }

  /** Whether a request may go on being read in this turn of the host, or waits for the next: whoever was let in asks for the thread, too. */
  mayRead(): boolean {
    return this.#closedSinceMs === undefined || this.#read++ < this.#most;
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
