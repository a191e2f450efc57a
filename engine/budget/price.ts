/**
 * Price cards: what a millisecond costs, and back. Vendors' list prices of 2026-11 for requests that need no more than
 * one isolate; a deployment with other terms writes its own card.
 */

/** What a host charges. */
export interface PriceCard {
  readonly name: string;
  /** US dollars of a request before any work. */
  readonly usdPerRequest: number;
  /** US dollars of a millisecond of CPU time where CPU is billed, of wall time where that is. */
  readonly usdPerMs: number;
}

/** $0.30 per million requests, $0.02 per million CPU-ms. */
export const WORKERS: PriceCard = { name: "workers", usdPerRequest: 0.3e-6, usdPerMs: 0.02e-6 };

/** $0.15 per million requests, $12.50 per million GB-s of wall clock at 128 MB. */
export const DURABLE_OBJECTS: PriceCard = { name: "durable-objects", usdPerRequest: 0.15e-6, usdPerMs: (12.5e-6 * 0.128) / 1000 };

/** A machine of one's own, by the hour. @param busyShare share of its time that is used [default 0.5] */
export function ownMachine(usdPerHour: number, busyShare = 0.5): PriceCard {
  return { name: "own", usdPerRequest: 0, usdPerMs: usdPerHour / 3_600_000 / busyShare };
}

export function usdOf(card: PriceCard, ms: number): number {
  return card.usdPerRequest + ms * card.usdPerMs;
}

/** Milliseconds that an amount buys; negative where it does not even pay for the request, Infinity where time is free. */
export function msFor(card: PriceCard, usd: number): number {
  const left = usd - card.usdPerRequest;
  return card.usdPerMs === 0 ? (left < 0 ? -1 : Infinity) : left / card.usdPerMs;
}
