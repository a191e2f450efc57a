/**
 * How often callers may ask: counters of the platform's (Workers' rate limit bindings), one for everybody and others for
 * keys that name them. The binding counts and knows its own limit; what callers are told of it is said here. It counts
 * for each location by itself, and a little late: a brake, not an account.
 */
import type { Context, MiddlewareHandler } from "hono";
import * as v from "valibot";
import { named, record, wholeNumber } from "../engine/options.ts";
import { decision } from "./callbacks.ts";
import { ApiError } from "./errors.ts";
import type { ApiKeys } from "./keys.ts";

/** What is used of a rate limit binding. */
export interface RateLimiter {
  limit(options: { key: string }): Promise<{ success: boolean }>;
}

/** A counter, and what callers are told of it. */
export interface Rate<Bindings> {
  /** The counter, e.g. `({ RATE }) => RATE`. */
  readonly limiter: (bindings: Bindings) => RateLimiter;
  /** How many requests the counter lets through in its period: told to callers. */
  readonly requests: number;
  /** The counter's period, in seconds: told to callers. */
  readonly periodSeconds: number;
}

/** Counters by name; "default" counts whoever's key names none. */
export type Rates<Bindings> = Readonly<Record<string, Rate<Bindings>>>;

const DEFAULT_RATE = "default";

export const rates = record(
  named({
    limiter: v.custom<Rate<any>["limiter"]>((value) => typeof value === "function", "a function of the bindings"),
    requests: wholeNumber(1),
    periodSeconds: wholeNumber(1),
  }),
);

/** @throws {TypeError} where a key names a rate that is none */
export function checkRateNames(
  factory: string,
  { apiKeys, rates }: { apiKeys?: ApiKeys | undefined; rates?: Rates<any> | undefined },
): void {
  if (!Array.isArray(apiKeys)) return;
  for (const [index, key] of apiKeys.entries()) {
    const { rate } = key as { rate?: string };
    if (rate !== undefined && !Object.hasOwn(rates ?? {}, rate))
      throw new TypeError(`${factory}: apiKeys.${index}.rate is ${JSON.stringify(rate)}, which rates does not have.`);
  }
}

/**
 * Counts a request against its caller's rate; over it, 429 rate_limit_exceeded. A counter that fails refuses the request.
 * Callers without a key are told apart by their address.
 */
export function rateLimit<Bindings extends object>(all: Rates<Bindings>): MiddlewareHandler<{ Bindings: Bindings }> {
  return async (c, next) => {
    const caller = c.get("fathomCaller");
    const rate = all[caller?.rate ?? DEFAULT_RATE];
    if (rate === undefined) return next();
    c.header("X-RateLimit-Limit-Requests", String(rate.requests));
    if (await isWithin(rate, caller?.id ?? addressOf(c), c.env)) return next();
    c.header("X-RateLimit-Remaining-Requests", "0");
    c.header("X-RateLimit-Reset-Requests", `${rate.periodSeconds}s`);
    const message = `There were more than ${rate.requests} requests within ${rate.periodSeconds} s; send this one again later.`;
    throw new ApiError(429, "rate_limit_exceeded", message, undefined, { retryAfterSeconds: rate.periodSeconds });
  };
}

async function isWithin<Bindings>({ limiter }: Rate<Bindings>, key: string, bindings: Bindings): Promise<boolean> {
  const given = await decision("rates", () => limiter(bindings).limit({ key }));
  const success = (given as { success?: unknown } | undefined)?.success;
  if (typeof success === "boolean") return success;
  throw new TypeError("A limiter of rates gave no { success }; the request is refused.");
}

function addressOf(c: Context): string {
  return `address ${c.req.header("cf-connecting-ip") ?? "unknown"}`;
}
