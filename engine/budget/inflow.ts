/**
 * Requests that have come and have been neither let in nor refused. First all are entered, which takes little and refuses
 * most of those that are to be refused; then the texts of the others are read, by their deadlines. What entering those takes
 * who wait is time that newcomers leave. While the engine computes, a turn of the host reads for so long and no longer. One
 * account for an isolate. Not here: how slow the engine's own work is (host-pace.ts).
 */
import type { Clock } from "./clock.ts";

/** What is read of a request: head, body and budget; then its text. */
type Part = "head" | "text";

/**
 * What each part takes before any has been seen, in milliseconds, and at most. Heads take 0.1 to 0.3 in `fathom serve`, 128 at
 * once; what they do take is learned within one burst.
 */
const [FIRST_MS, MOST_MS] = [0.1, 3];

/** How far one request moves an estimate. */
const STEP = 0.05;

/** Milliseconds within which a request is entered, unless its body is slow to come or it has died. */
const COMES_WITHIN_MS = 100;

/** What the thread may have computed meanwhile where its clock stands still: a stretch of calls, in milliseconds. */
const STRETCH_MS = 2;

/** Steps of reading between two stretches of calls, at most, and at least however little time deadlines leave. */
const [MOST_STEPS, LEAST_STEPS] = [48, 10];
const STEPS: Readonly<Record<Part, number>> = { head: 1, text: 2 };

/** The part of the time that deadlines leave in which requests are read. */
const SLACK_SHARE = 1 / 2;

/** A request that has come. */
export interface Newcomer {
  /** The clock's reading when its handler began. */
  readonly handledMs: number;
  /** The reading at which it came at the latest, as the thread may have computed while it waited. */
  readonly cameMs: number;
}

/** A wait for reading's turn. */
export interface ReadingTurn {
  /** Whether it is this one's turn; otherwise it asks again in the host's next one. */
  hasCome(): boolean;
  /** Whoever has waited does so no longer. */
  end(): void;
}

export class Inflow {
  readonly #clock: Clock;
  /** Requests that have come and are not entered, the first one first. */
  readonly #coming = new Set<Newcomer>();
  /** Requests whose text is to be read. */
  readonly #entered = new Set<Newcomer>();
  /** How many wait to be entered, and the deadlines of those who wait for their text to be read. */
  #heads = 0;
  readonly #texts: number[] = [];
  /** The clock's reading since which the thread may not have let the host in; undefined while it does not compute. */
  #closedSinceMs: number | undefined;
  /** Steps of reading since then, and for how many deadlines leave time. */
  #steps = 0;
  #spare = MOST_STEPS;
  /** Steps of all requests so far: each comes, is entered, and has its text read. */
  steps = 0;
  /** Milliseconds of the thread that a part of a request takes: the mean of those that follow each other. */
  readonly eachMs: Record<Part, number> = { head: FIRST_MS, text: FIRST_MS };
  /** Milliseconds for which requests have been read, as a clock that moves has shown it. */
  readMs = 0;
  /** The clock's reading when the last part had been read while others waited; NaN: not in this turn. */
  #lastMs = NaN;
  /** Parts that the clock's next step is shared among: those read since its last. */
  #read: Part[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A request has come. */
  came(): Newcomer {
    const handledMs = this.#clock.now();
    const waitedMs = this.#closedSinceMs === undefined ? 0 : this.#clock.moves === true ? handledMs - this.#closedSinceMs : STRETCH_MS;
    const newcomer = { handledMs, cameMs: handledMs - Math.max(0, waitedMs) };
    this.steps++;
    this.#coming.add(newcomer);
    return newcomer;
  }

  /** A request has a place among those that are let in, and waits for its text to be read. */
  entered(newcomer: Newcomer): void {
    if (!this.#coming.delete(newcomer)) return;
    this.#entered.add(newcomer);
    this.#passed("head");
  }

  /** A request has been let in or refused, or has gone. */
  judged(newcomer: Newcomer): void {
    if (this.#coming.delete(newcomer)) this.#passed("head");
    else if (this.#entered.delete(newcomer)) this.#passed("text");
  }

  #passed(part: Part): void {
    this.steps++;
    const nowMs = this.#clock.now();
    const ms = nowMs - this.#lastMs;
    // a clock that moves shows what this one has taken, one that stands what those have that were read before it moved
    const moves = this.#clock.moves === true;
    if (moves) this.#read = [part];
    if (moves ? ms >= 0 : ms > 0) {
      for (const one of this.#read) this.eachMs[one] += STEP * (Math.min(ms / this.#read.length, MOST_MS) - this.eachMs[one]);
      this.#read = [];
      if (moves) this.readMs += ms;
    }
    if (!moves) this.#read.push(part);
    this.#lastMs = this.#coming.size + this.#entered.size > 0 ? nowMs : NaN;
  }

  /**
   * The thread has let the host in, and computes again; undefined: it does not.
   * @param slackMs what could be done first without making a deadline late [default no deadline waits]
   */
  closed(sinceMs: number | undefined, slackMs = Infinity): void {
    this.#closedSinceMs = sinceMs;
    this.#lastMs = NaN;
    this.#read = [];
    this.#steps = 0;
    this.#spare = Math.min(MOST_STEPS, (SLACK_SHARE * slackMs) / this.eachMs.head);
  }

  /** A wait to be entered. */
  headTurn(): ReadingTurn {
    this.#heads++;
    return { hasCome: () => this.#takeSteps("head", 0, LEAST_STEPS), end: () => void this.#heads-- };
  }

  /** A wait for a text to be read, which goes by deadlines, once nobody waits to be entered. */
  textTurn(deadlineMs: number): ReadingTurn {
    const texts = this.#texts;
    texts.push(deadlineMs);
    const before = (): number => texts.reduce((sum, other) => sum + (other < deadlineMs ? STEPS.text : 0), 0);
    return {
      hasCome: () => this.#heads === 0 && this.#takeSteps("text", before(), deadlineMs < Infinity ? LEAST_STEPS : 0),
      end: () => void texts.splice(texts.indexOf(deadlineMs), 1),
    };
  }

  /** Whether a part may be read in this turn of the host: whoever was let in asks for the thread, too. */
  #takeSteps(part: Part, before: number, least: number): boolean {
    if (this.#closedSinceMs === undefined) return true;
    if (this.#steps + before >= Math.max(least, this.#spare)) return false;
    this.#steps += STEPS[part];
    return true;
  }

  /** Milliseconds that entering those takes who wait for it, the one that is being entered aside. */
  get comingMs(): number {
    const sinceMs = this.#clock.now() - COMES_WITHIN_MS;
    for (const newcomer of this.#coming) {
      if (newcomer.handledMs >= sinceMs) break;
      this.#coming.delete(newcomer);
    }
    return Math.max(0, this.#coming.size - 1) * this.eachMs.head;
  }
}
