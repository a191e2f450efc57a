/**
 * How long a backend may be silent. A lost device says so; a hung one leaves promises that never settle, and with them
 * every request that waits for it. No timer of its own: hosts pass theirs in.
 */
import { FathomError } from "../errors.ts";

/** A time limit for calls of a backend, by a timer of the host's. */
export interface Watchdog {
  /** Most milliseconds that one call of the primary backend may take. */
  readonly limitMs: number;
  /** Calls back once, after so many milliseconds, unless what it returns has been called before. */
  readonly after: (ms: number, callback: () => void) => () => void;
}

/**
 * What a call gives, unless it takes too long; what comes after that is dropped.
 * @throws {FathomError} unavailable, after `limitMs`
 */
export function watched<T>(result: T | Promise<T>, watchdog: Watchdog | undefined): T | Promise<T> {
  if (watchdog === undefined || !(result instanceof Promise)) return result;
  const { limitMs, after } = watchdog;
  return new Promise<T>((resolve, reject) => {
    const cancel = after(limitMs, () => reject(new FathomError("unavailable", `It did not answer within ${limitMs} ms.`)));
    result.finally(cancel).then(resolve, reject);
  });
}
