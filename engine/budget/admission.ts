/**
 * Who is let in: every admitted request holds a reservation: the time it has left and the least work it still needs.
 * A newcomer whose minimum would not fit before its deadline, or would push another's minimum past its own, is refused
 * before any work. The scheduler serves the earliest deadline first, so that test is exact but for calls that are
 * shared. Pure but for the reservations; time comes from the requests' timers.
 */
import { InfeasibleError, type Minimum } from "./grant.ts";

export interface ReservationRequest {
  /** Milliseconds until the deadline, now; Infinity: none. */
  readonly leftMs: () => number;
  /** Least work that the request still needs, in predicted milliseconds. */
  readonly minimumMs: number;
  /** Core calls of that minimum: other requests' rows may ride along in each. */
  readonly calls: number;
  /** The latency budget of which so many milliseconds would be left now. [default those milliseconds] */
  readonly budgetFor?: (leftMs: number) => number;
}

export interface Reservation {
  /** What the minimum has come down to. */
  update(minimumMs: number): void;
  /** Whether this request may think for so long beyond its minimum without making another one late. */
  allows(ms: number): boolean;
  release(): void;
}

interface Taken {
  readonly leftMs: () => number;
  minimumMs: number;
  ridersMs: number;
}

export class Admission {
  readonly #reservations = new Set<Taken>();
  readonly #callMs: number;

  /** @param callMs longest that one shared call takes, in predicted milliseconds [default 0] */
  constructor(callMs = 0) {
    this.#callMs = callMs;
  }

  get taken(): number {
    return this.#reservations.size;
  }

  /** Least work that admitted requests still need, in predicted milliseconds. */
  get reservedMs(): number {
    let sum = 0;
    for (const { minimumMs } of this.#reservations) sum += minimumMs;
    return sum;
  }

  /** @throws {InfeasibleError} with the latency that would do now, before anything is taken */
  admit(request: ReservationRequest): Reservation {
    const shared = this.#reservations.size > 0;
    const mine: Taken = { leftMs: request.leftMs, minimumMs: request.minimumMs, ridersMs: shared ? request.calls * this.#callMs : 0 };
    this.#reservations.add(mine);
    if (this.#isLate(mine)) {
      this.#reservations.delete(mine);
      throw this.#refusal(mine, request.budgetFor);
    }
    return {
      update: (minimumMs) => void (mine.minimumMs = Math.min(mine.minimumMs, Math.max(0, minimumMs))),
      allows: (ms) => !this.#isLate(mine, ms),
      release: () => void this.#reservations.delete(mine),
    };
  }

  /** Whether anyone who is served with or after `who` misses its deadline, if `who` spends so much more. */
  #isLate(who: Taken, extraMs = 0): boolean {
    const left = new Map([...this.#reservations].map((held) => [held, held.leftMs()] as const));
    const own = left.get(who) ?? who.leftMs();
    for (const [held, until] of left) {
      if (until < own || until === Infinity) continue;
      let sum = extraMs + held.ridersMs;
      for (const [other, deadline] of left) if (deadline <= until) sum += other.minimumMs;
      if (sum > until) return true;
    }
    return false;
  }

  #refusal(mine: Taken, budgetFor = (ms: number): number => ms): InfeasibleError {
    const neededMs = this.reservedMs + mine.minimumMs + mine.ridersMs;
    const minimum: Minimum = { units: 0, latencyMs: budgetFor(neededMs) };
    const others = this.#reservations.size;
    const first = others === 0 ? "" : ` with ${others === 1 ? "a request" : `${others} requests`} to serve first`;
    return new InfeasibleError(
      `Of the latency budget ${Math.max(0, mine.leftMs()).toFixed(1)} ms are left, and this request needs ${neededMs.toFixed(1)} ms${first}. ` +
        `Allow at least ${Math.ceil(minimum.latencyMs!)} ms, or try again later.`,
      "budget.latency_ms",
      minimum,
    );
  }
}
