/**
 * How many requests a second an isolate carries within a latency, and how many isolates a load needs. An isolate is one
 * thread, modelled as a queue of its own with arrivals at random and exponential service times (M/M/1): careful, as
 * requests of one model vary less than that, and the scheduler lets them share the core.
 */

/** Share of requests that must be within the latency. */
export const WITHIN = 0.95;

/** Milliseconds of waiting that a share of requests stays within: P(W > t) = busy e^(-(1 - busy) t / service). */
export function waitMs(busy: number, serviceMs: number, share = WITHIN): number {
  if (busy <= 1 - share) return 0;
  return (serviceMs / (1 - busy)) * Math.log(busy / (1 - share));
}

export interface Capacity {
  /** Share of an isolate's time that is used at most; 0 where not even a request alone is in time. */
  readonly busy: number;
  /** Requests a second that an isolate carries. */
  readonly rpsPerIsolate: number;
}

/** Requests a second that an isolate carries, where waiting and a slow request together are in time. */
export function capacityOf(usualMs: number, slowMs: number, latencyMs: number): Capacity {
  const spareMs = latencyMs - slowMs;
  if (spareMs < 0) return { busy: 0, rpsPerIsolate: 0 };
  let [fits, tooMuch] = [0, 1];
  for (let step = 0; step < STEPS; step++) {
    const busy = (fits + tooMuch) / 2;
    if (waitMs(busy, usualMs) <= spareMs) fits = busy;
    else tooMuch = busy;
  }
  return { busy: fits, rpsPerIsolate: (fits * 1000) / usualMs };
}

/** Halvings of the interval from 0 to 1: to a millionth. */
const STEPS = 20;
