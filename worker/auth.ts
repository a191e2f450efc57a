/**
 * Who may come in: reads the header Authorization, as the OpenAI SDK sends it, and asks the keys (keys.ts). What can only
 * be known of a request refuses that request; nothing here ever lets in by mistake.
 */
import type { Context, MiddlewareHandler } from "hono";
import { describeValue } from "../engine/options.ts";
import { decision } from "./callbacks.ts";
import { ApiError } from "./errors.ts";
import { callerOf, callersOf, type ApiKeys, type Caller } from "./keys.ts";

declare module "hono" {
  interface ContextVariableMap {
    /** Who has come in by a key; undefined where none is asked for. */
    fathomCaller: Caller | undefined;
  }
}

const BEARER = /^bearer \s*([A-Za-z0-9._~+/-]+=*)\s*$/i;

/** The key that a request brings; undefined where it brings none, or something else. */
export function bearerKey(c: Context): string | undefined {
  return BEARER.exec(c.req.header("authorization") ?? "")?.[1];
}

export function keyAuth(keys: ApiKeys): MiddlewareHandler {
  const find = typeof keys === "function" ? undefined : callersOf(keys);
  return async (c, next) => {
    const header = c.req.header("authorization");
    if (header === undefined || header === "")
      throw refusal(c, 'realm=""', "This server asks for a key; send it as Authorization: Bearer KEY.");
    const key = bearerKey(c);
    if (key === undefined) throw refusal(c, 'error="invalid_request"', "The header Authorization is not of the form Bearer KEY.");
    const caller = typeof keys === "function" ? await letInBy(keys, key, c) : await find!(key);
    if (caller === undefined) throw refusal(c, 'error="invalid_token"', "This key is not valid here.");
    c.set("fathomCaller", caller);
    return next();
  };
}

function refusal(c: Context, challenge: string, message: string): ApiError {
  c.header("WWW-Authenticate", `Bearer ${challenge}`);
  return new ApiError(401, "invalid_api_key", message);
}

/** @throws {Error} where the function gives anything but true or false */
async function letInBy(verify: Extract<ApiKeys, (...args: any[]) => unknown>, key: string, c: Context): Promise<Caller | undefined> {
  const given = await decision("apiKeys", () => verify(key, c));
  if (typeof given !== "boolean")
    throw new TypeError(`apiKeys must give true or false, not ${describeValue(given)}; the request is refused.`);
  return given ? callerOf(key) : undefined;
}
