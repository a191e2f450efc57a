/**
 * Which pages of other origins may call: hono's cors behind a check of its options. An origin that a function decides
 * on is let in for exactly its own name; whatever else the function gives or does lets nobody in.
 */
import type { Context, MiddlewareHandler } from "hono";
import * as v from "valibot";
import { describeValue, flag, named, wholeNumber } from "../engine/options.ts";
import { decision, type CallbackFailures } from "./callbacks.ts";

/** "*" for every origin, origins by name, or a function that gives back an origin which it lets in. */
export type AllowedOrigins =
  string | readonly string[] | ((origin: string, c: Context<any>) => string | null | undefined | Promise<string | null | undefined>);

/** Options of hono/cors, of which `origin` must be given: it has no default here. */
export interface CorsOptions {
  readonly origin: AllowedOrigins;
  readonly allowMethods?: readonly string[];
  readonly allowHeaders?: readonly string[];
  readonly exposeHeaders?: readonly string[];
  /** Seconds that a browser may keep the answer to its question. */
  readonly maxAge?: number;
  readonly credentials?: boolean;
}

/** An origin as browsers write it: no path, no slash at its end, no wildcard. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*A-Z]+$/;
const ORIGINS = 'an origin such as "https://shop.example", without a path or a slash at its end';
const originName = v.pipe(v.string(ORIGINS), v.regex(ORIGIN, ORIGINS));
const isFunction = (value: unknown): boolean => typeof value === "function";
const token = v.pipe(v.string("a list of header names"), v.regex(/^[\w!#$%&'*+.^`|~-]+$/, "a list of header names"));

export const corsOptions = v.pipe(
  named({
    origin: v.pipe(
      v.unknown(),
      v.custom<AllowedOrigins>(
        (value) =>
          value === "*" || isFunction(value) || v.is(v.pipe(v.array(originName), v.minLength(1)), value) || v.is(originName, value),
        `"*", a function, ${ORIGINS}, or a list of such`,
      ),
    ),
    allowMethods: v.exactOptional(v.array(token, "a list of methods")),
    allowHeaders: v.exactOptional(v.array(token, "a list of header names")),
    exposeHeaders: v.exactOptional(v.array(token, "a list of header names")),
    maxAge: v.exactOptional(wholeNumber(0)),
    credentials: v.exactOptional(flag()),
  }),
  v.check(
    ({ origin, credentials }) => !(origin === "*" && credentials === true),
    'an object whose origin is named where credentials is true: browsers take no "*" then',
  ),
);

const EXPOSED = ["X-Request-Id", "X-TypeSafe-Request-Id", "Server-Timing", "Preference-Applied"];

/** What is allowed where nothing is said, as by hono/cors, whose answers these are; it weighs more of the Worker. */
const METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "QUERY"];

export function crossOrigin(options: CorsOptions, failures: CallbackFailures): MiddlewareHandler {
  const { origin, allowMethods = METHODS, allowHeaders = [], exposeHeaders = EXPOSED, maxAge, credentials = false } = options;
  const isOpen = origin === "*";
  const named = (from: string): string | undefined => (isOpen ? "*" : [origin].flat().includes(from) ? from : undefined);
  const decide = typeof origin === "function" ? decidedBy(origin, failures) : named;
  return async (c, next) => {
    const set = (name: string, value: string | undefined): void => void (value && c.res.headers.set(name, value));
    set("Access-Control-Allow-Origin", await decide(c.req.header("origin") ?? "", c));
    set("Access-Control-Allow-Credentials", credentials ? "true" : "");
    set("Access-Control-Expose-Headers", exposeHeaders.join());
    if (c.req.method !== "OPTIONS") {
      await next();
      if (!isOpen) c.header("Vary", "Origin", { append: true });
      return;
    }
    if (!isOpen) c.res.headers.append("Vary", "Origin");
    set("Access-Control-Max-Age", maxAge?.toString());
    set("Access-Control-Allow-Methods", allowMethods.join());
    const asked = c.req.header("Access-Control-Request-Headers")?.replace(/\s*,\s*/g, ",");
    const headers = allowHeaders.join() || asked;
    set("Access-Control-Allow-Headers", headers);
    if (headers) c.res.headers.append("Vary", "Access-Control-Request-Headers");
    return new Response(null, { headers: c.res.headers, status: 204 });
  };
}

function decidedBy(decide: Extract<AllowedOrigins, (...args: any[]) => unknown>, failures: CallbackFailures) {
  return async (origin: string, c: Context): Promise<string | undefined> => {
    try {
      const given = await decision("cors.origin", () => decide(origin, c));
      if (given === undefined || given === null || given === "") return undefined;
      if (given === "*" || v.is(originName, given)) return given as string;
      throw new TypeError(`cors.origin must give an origin to let in, or undefined, not ${describeValue(given)}.`);
    } catch (error) {
      failures.report("cors.origin", error);
      return undefined;
    }
  };
}
