/**
 * Who is let in: every admitted request holds a reservation: the time it has left, the work that it is to get, and the
 * least that it must. A newcomer whose own would not fit before its deadline, or would push another's past its, is
 * refused before any work, so that those who were let in keep what they were let in for. The scheduler serves the
 * earliest deadline first, so the test is exact but for calls that have begun and are shared. Pure but for the
 * reservations; time comes from the requests' timers.
 */
import { InfeasibleError, type Minimum } from "./grant.ts";

export interface ReservationRequest {
  /** Milliseconds until its work must have ended, now; Infinity: it need not. */
  readonly leftMs: () => number;
  /** Least work that the request still needs, in predicted milliseconds. */
  readonly leastMs: number;
  /** Work that it is to get whatever the others do, in predicted milliseconds. [default the least] */
  readonly needMs?: number;
  /** The part of it that comes after the first. [default nothing] */
  readonly laterMs?: number;
  /** The latency budget of which so many milliseconds would be left now. [default those milliseconds] */
  readonly budgetFor?: (leftMs: number) => number;
}

export interface Reservation {
  /**
   * Counts work that was done for the request against what it is to get.
   * @param leastMs what it cannot do without yet @param laterMs what it is to get for its later parts besides
   */
  spend(ms: number, leastMs: number, laterMs: number): void;
  /**
   * Whether this request may go on for so long beyond its least: within what it is to get for this part as long as
   * nobody's least is late for it, further as long as everybody gets theirs.
   * @param laterMs what it is to get for its later parts, which this one must leave [default as last spent]
   */
  allows(ms: number, laterMs?: number): boolean;
  /** Most predicted milliseconds that it could go on for now, beyond its least and what it is to get later. */
  readonly spareMs: number;
  release(): void;
}

export interface AdmissionOptions {
  /** Longest that work which has begun keeps an earlier deadline waiting, in milliseconds. [default 0] */
  readonly blockMs?: number;
  /** How much longer than predicted work takes now. [default as predicted] */
  readonly slowdown?: () => number;
  /** Milliseconds for reading others. [default none] */
  readonly comingMs?: () => number;
}

interface Held {
  readonly leftMs: () => number;
  leastMs: number;
  needMs: number;
  laterMs: number;
}

type Share = "leastMs" | "needMs";

/** How long after its deadline a request is still hurried: the account of work may be too careful where no clock moves. */
const LATE_MS = 20;

/**
 * What several requests need together beyond their least, as a share of the sum: each one's estimate is what nine of ten do
 * not exceed (need.ts), and not all need that much. The one that may need most is counted in full.
 */
const POOLED = 0.9;

/** What sums of many small costs may differ by from their parts, in milliseconds. */
const ROUNDING_MS = 1e-9;

export class Admission {
  /** Reservations by deadline, the earliest first; requests without one are counted, as they make nobody late. */
  readonly #held: Held[] = [];
  #undated = 0;
  readonly #blockMs: number;
  readonly #slowdown: () => number;
  readonly #comingMs: () => number;

  constructor({ blockMs = 0, slowdown = () => 1, comingMs = () => 0 }: AdmissionOptions = {}) {
    this.#blockMs = blockMs;
    this.#slowdown = slowdown;
    this.#comingMs = comingMs;
  }

  /** Requests that are let in now. */
  get taken(): number {
    return this.#held.length + this.#undated;
  }

  /**
   * Milliseconds of work that could be done first without keeping anybody from getting theirs; Infinity: nobody waits. Who
   * is late already (a reader that has paused) holds nobody up.
   */
  get slackMs(): number {
    return Math.max(0, this.#slackFrom(undefined, "needMs"));
  }

  /**
   * @param mayRefuse whether a request is refused for which the time does not do [default yes]
   * @throws {InfeasibleError} with the latency that would do now, before anything is taken
   */
  admit(request: ReservationRequest, mayRefuse = true): Reservation {
    const { leftMs, leastMs, laterMs = 0 } = request;
    const mine: Held = { leftMs, leastMs, needMs: Math.max(leastMs + laterMs, request.needMs ?? 0), laterMs };
    const left = mine.leftMs();
    if (left === Infinity) return this.#undatedReservation();
    const at = this.#held.findIndex((other) => other.leftMs() > left);
    this.#held.splice(at < 0 ? this.#held.length : at, 0, mine);
    if (mayRefuse && this.#slackFrom(mine, "needMs", undefined, this.#comingMs(), POOLED) < -ROUNDING_MS) {
      this.#release(mine);
      throw this.#refusal(mine, request.budgetFor);
    }
    return this.#reservation(mine);
  }

  #reservation(mine: Held): Reservation {
    const spareMs = (laterMs = mine.laterMs): number => {
      const beyond = Math.max(0, this.#slackFrom(mine, "needMs", mine)) / this.#slowdown();
      const within = Math.max(0, this.#slackFrom(mine, "leastMs")) / this.#slowdown();
      return Math.min(Math.max(0, mine.needMs - mine.leastMs - laterMs) + beyond, within);
    };
    return {
      spend: (ms, leastMs, laterMs) => {
        mine.needMs = Math.max(leastMs + laterMs, mine.needMs - ms);
        mine.leastMs = leastMs;
        mine.laterMs = laterMs;
      },
      allows: (ms, laterMs) => ms <= spareMs(laterMs) + ROUNDING_MS,
      get spareMs() {
        return spareMs();
      },
      release: () => this.#release(mine),
    };
  }

  #undatedReservation(): Reservation {
    let isHeld = true;
    this.#undated++;
    return {
      spend: () => undefined,
      allows: () => true,
      spareMs: Infinity,
      release: () => {
        if (isHeld) this.#undated--;
        isHeld = false;
      },
    };
  }

  #release(mine: Held): void {
    const at = this.#held.indexOf(mine);
    if (at >= 0) this.#held.splice(at, 1);
  }

  /**
   * The least time that is free before any deadline from one on, once everybody has got their share. By their order, not by
   * the time that is left: a clock that moves has moved on since that was last read.
   * @param first whose deadline is looked at first; undefined: all that are not late
   * @param own   whose own deadline is not looked at: what comes later of its work gives way to what comes now
   * @param comingMs what goes before all of them
   * @param pooled the part of the sum of what goes beyond their least that is reckoned with, beside all of the largest
   */
  #slackFrom(first: Held | undefined, share: Share, own?: Held, comingMs = 0, pooled = 1): number {
    const slowdown = this.#slowdown();
    let [sum, largest, slack, isReached] = [comingMs + (this.taken > 1 ? this.#blockMs : 0), 0, Infinity, false];
    for (const held of this.#held) {
      const until = held.leftMs();
      isReached ||= first === undefined ? until > -LATE_MS : held === first;
      const beyondMs = (held[share] - held.leastMs) * slowdown;
      sum += held.leastMs * slowdown + pooled * beyondMs;
      largest = Math.max(largest, beyondMs);
      if (isReached && held !== own) slack = Math.min(slack, until - sum - (1 - pooled) * largest);
    }
    return slack;
  }

  #refusal(mine: Held, budgetFor = (ms: number): number => ms): InfeasibleError {
    const others = this.#held.length;
    const before = this.#held.reduce((sum, { needMs }) => sum + needMs, 0);
    const neededMs = (before + mine.needMs) * this.#slowdown() + this.#comingMs() + this.#blockMs;
    const minimum: Minimum = { units: 0, latencyMs: budgetFor(neededMs) };
    const first = others === 0 ? "" : ` (requests to serve first: ${others})`;
    return new InfeasibleError(
      `Of the latency budget ${Math.max(0, mine.leftMs()).toFixed(1)} ms are left, and this request needs ${neededMs.toFixed(1)} ms${first}. ` +
        `Allow at least ${Math.ceil(minimum.latencyMs!)} ms, or try later.`,
      "budget.latency_ms",
      minimum,
    );
  }
}
