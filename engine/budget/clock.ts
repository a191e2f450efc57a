/**
 * Time as a request sees it. On Workers clocks stand still while code runs, so elapsed time is what the isolate's work
 * is predicted to have taken; a clock that does move only tightens that. No platform clock here: hosts pass theirs in.
 */

/** Milliseconds of any origin. May stand still, jump, run backwards or give nonsense: a Timer copes. */
export interface Clock {
  now(): number;
  /** Whether the clock moves while code runs, and so catches a prediction that was too kind. [default false] */
  readonly moves?: boolean;
}

/** A clock that moves while code runs, as everywhere but on Workers. @param read e.g. () => performance.now() */
export function realClock(read: () => number): Clock {
  return { now: read, moves: true };
}

/** What production looks like while code runs. */
export function frozenClock(at = 0): Clock {
  return { now: () => at };
}

/** A clock that moves only when I/O happens, as on Workers: it gives the reading of the last `sync`. */
export function ioClock(read: () => number): Clock & { sync(): void } {
  let last = read();
  return { now: () => last, sync: () => void (last = read()) };
}

/** Work that an isolate has done for all its requests, in predicted milliseconds: its clock while real ones stand. */
export class WorkMeter {
  readonly #clock: Clock | undefined;
  #ms = 0;
  /** The clock's last reading, and the work that had been done by then. */
  #step = { at: NaN, ms: 0 };

  /** @param clock that may stand while work is done [default none: nothing is known of when work is done] */
  constructor(clock?: Clock) {
    this.#clock = clock?.moves === true ? undefined : clock;
  }

  get ms(): number {
    return this.#ms;
  }

  /** What has been done since the clock last moved, and so is not in what it shows. */
  get unclockedMs(): number {
    return this.#clock?.now() === this.#step.at ? this.#ms - this.#step.ms : 0;
  }

  /** Work has been done, in one piece: a clock that has moved since the last has done so before it. */
  add(ms: number): void {
    const at = this.#clock?.now() ?? NaN;
    if (at !== this.#step.at) this.#step = { at, ms: this.#ms };
    if (ms > 0) this.#ms += ms;
  }
}

/** Time since a request arrived. */
export class Timer {
  readonly #clock: Clock;
  readonly #meter: WorkMeter;
  readonly #metered: number;
  #lastReading: number;
  #clocked = 0;
  #elapsed = 0;

  /** @param since a reading of the clock [default now] */
  constructor(clock: Clock, meter: WorkMeter, since = clock.now()) {
    this.#clock = clock;
    this.#meter = meter;
    this.#metered = meter.ms;
    this.#lastReading = since;
  }

  /** The larger of predicted work, and of the clock's steps forward with the work since the last. Never falls, never NaN. */
  get elapsedMs(): number {
    const { predictedMs } = this;
    this.#elapsed = Math.max(this.#elapsed, predictedMs, this.clockedMs + Math.min(predictedMs, this.#meter.unclockedMs));
    return this.#elapsed;
  }

  /** The isolate's work since arrival, that of other requests included. */
  get predictedMs(): number {
    return this.#meter.ms - this.#metered;
  }

  /** What the clock says; a step back counts as none. */
  get clockedMs(): number {
    const reading = this.#clock.now();
    const step = reading - this.#lastReading;
    if (Number.isFinite(reading)) this.#lastReading = reading;
    if (Number.isFinite(step) && step > 0) this.#clocked += step;
    return this.#clocked;
  }
}
