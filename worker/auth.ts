/**
 * Bearer keys, as the OpenAI SDK sends them. Comparison in constant time is hono's.
 */
import type { Context, MiddlewareHandler } from "hono";
import { bearerAuth } from "hono/bearer-auth";
import { ApiError } from "./errors.ts";
import { errorObject } from "./openai.ts";

/** The keys themselves, or a function that knows them. */
export type ApiKeys = readonly string[] | ((key: string, c: Context<any>) => boolean | Promise<boolean>);

export function keyAuth(keys: ApiKeys): MiddlewareHandler {
  const refuse = (message: string) => ({
    message: () => Response.json(errorObject(new ApiError(401, "invalid_api_key", message)), { status: 401 }),
  });
  return bearerAuth({
    ...(typeof keys === "function" ? { verifyToken: keys } : { token: [...keys] }),
    noAuthenticationHeader: refuse("This server asks for a key; send it as Authorization: Bearer KEY."),
    invalidAuthenticationHeader: refuse("The header Authorization is not of the form Bearer KEY."),
    invalidToken: refuse("This key is not valid here."),
  });
}
