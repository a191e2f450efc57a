/**
 * The deployment's own functions, called so that none of them can do more harm than its documentation says: those that
 * decide are awaited for so long and no longer, those that observe are told and never felt. A failure goes to the log
 * and is counted; a function that never yields the thread is the deployment's own to find.
 */
import { HTTPException } from "hono/http-exception";
import type { Clock } from "../engine/budget/clock.ts";
import { isPromise } from "../engine/options.ts";
import { breathe as hostBreathe, hostClock, type Host } from "./host.ts";

/** How long a request waits for a key's verifier, its budget or an origin's, in milliseconds. */
export const DECISION_LIMIT_MS = 10_000;

/** How long a token waits for `breathe`, in milliseconds: what gives way for longer does not come back. */
export const BREATH_LIMIT_MS = 1000;

/** Failures of functions that only observe or help, by their option's name. */
export interface CallbackFailures {
  /** Failures by callback since the app was created. */
  readonly counts: Readonly<Record<string, number>>;
  /** Logs a failure and counts it. Never throws. */
  report(option: string, error: unknown): void;
}

export function callbackFailures(): CallbackFailures {
  const counts: Record<string, number> = {};
  return {
    counts,
    report(option, error) {
      counts[option] = (counts[option] ?? 0) + 1;
      try {
        console.error(`The deployment's ${option} failed; answers go on without it.`, error);
      } catch {
        // a console of the deployment's own is an observer, too
      }
    },
  };
}

/**
 * What a function that decides over a request gives, awaited where it is a promise.
 * @throws {HTTPException} of the function's own, which is its answer to the caller
 * @throws {Error} naming the option, where the function throws anything else, rejects, or takes longer than the limit
 */
export async function decision(option: string, decide: () => unknown, limitMs = DECISION_LIMIT_MS): Promise<unknown> {
  try {
    const given = decide();
    return isPromise(given) ? await within(given, limitMs) : given;
  } catch (error) {
    if (error instanceof HTTPException) throw error;
    throw new Error(`The deployment's ${option} failed, so the request is refused.`, { cause: error });
  }
}

async function within<T>(promise: PromiseLike<T>, limitMs: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`There was no result after ${limitMs} ms.`)), limitMs);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Tells an observer. What it gives is never waited for, but the host may finish it. */
export function observe(option: string, call: () => unknown, host: Host, failures: CallbackFailures): void {
  try {
    const given = call();
    if (isPromise(given)) host.waitUntil(Promise.resolve(given).catch((error: unknown) => failures.report(option, error)));
  } catch (error) {
    failures.report(option, error);
  }
}

/** `own`, until it fails once; then and from then on the host's own way. */
export function guardedBreathe(own: () => unknown, failures: CallbackFailures): () => Promise<void> {
  let hasFailed = false;
  return async () => {
    if (hasFailed) return hostBreathe();
    try {
      const given = own();
      if (isPromise(given)) await within(given, BREATH_LIMIT_MS);
    } catch (error) {
      hasFailed = true;
      failures.report("breathe", error);
      await hostBreathe();
    }
  };
}

/** One for each clock, as requests under one clock share an account. */
const steadied = new WeakMap<Clock, Clock>([[hostClock, hostClock]]);

/** A clock that stands still where `clock` throws or gives no number. @param moves what it said of itself */
export function steadyClock(clock: Clock, moves = clock.moves ?? false): Clock {
  const known = steadied.get(clock);
  if (known !== undefined) return known;
  let last = 0;
  const steady: Clock = {
    now() {
      try {
        const reading: unknown = clock.now();
        if (typeof reading === "number" && Number.isFinite(reading)) last = reading;
      } catch {
        // stands still
      }
      return last;
    },
    moves,
  };
  steadied.set(clock, steady);
  return steady;
}
