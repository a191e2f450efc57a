/**
 * Which pages of other origins may call: hono's cors behind a check of its options. An origin that a function decides
 * on is let in for exactly its own name; whatever else the function gives or does lets nobody in.
 */
import type { Context, MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
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

export function crossOrigin(options: CorsOptions, failures: CallbackFailures): MiddlewareHandler {
  const { origin, allowMethods, allowHeaders, exposeHeaders = EXPOSED, ...rest } = options;
  const fixed = {
    ...rest,
    exposeHeaders: [...exposeHeaders],
    ...(allowMethods && { allowMethods: [...allowMethods] }),
    ...(allowHeaders && { allowHeaders: [...allowHeaders] }),
  };
  if (typeof origin !== "function") return cors({ ...fixed, origin: typeof origin === "string" ? origin : [...origin] });
  const decide = decidedBy(origin, failures);
  return async (c, next) => {
    const allowed = await decide(c.req.header("origin") ?? "", c); // before hono is asked: not every version of it waits
    return cors({ ...fixed, origin: () => allowed ?? null })(c, next);
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
