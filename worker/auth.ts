/**
 * Bearer keys, as the OpenAI SDK sends them: which keys there can be, and who may come in. Comparison in constant time
 * is hono's. What can only be known of a request refuses that request; nothing here ever lets in by mistake.
 */
import type { Context, MiddlewareHandler } from "hono";
import { bearerAuth } from "hono/bearer-auth";
import * as v from "valibot";
import { FathomError } from "../engine/errors.ts";
import { describeValue, refuse } from "../engine/options.ts";
import { decision } from "./callbacks.ts";
import { errorBody } from "./error-body.ts";
import { ApiError } from "./errors.ts";

/** The keys themselves, or a function that knows them: it lets in whom it says exactly `true` of. */
export type ApiKeys = readonly string[] | ((key: string, c: Context<any>) => boolean | Promise<boolean>);

/** What a bearer token may be (RFC 6750, section 2.1); any other key would never match. */
const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** Longest key, in characters: a longer one is larger than the headers that hosts take. */
const LONGEST_KEY = 4096;

/** Keys, or a function that knows them. */
export const apiKeys = v.pipe(
  v.unknown(),
  v.rawTransform<unknown, ApiKeys>((context) => {
    const given = context.dataset.value;
    if (typeof given === "function") return given as ApiKeys;
    const keys = listOf(given);
    const wrong =
      keys === undefined
        ? `must be a list of keys, or a function that knows them, not ${typeof given === "string" ? "a text" : describeValue(given)}`
        : keysProblem(keys);
    if (wrong === undefined) return keys as string[];
    refuse(context, wrong);
    return context.NEVER;
  }),
);

/** A copy of a list, read once; undefined where it is none. */
function listOf(value: unknown): unknown[] | undefined {
  try {
    return Array.isArray(value) ? Array.from(value) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Reads keys separated by commas, blanks around them left out.
 * @param source where they come from, for messages, which never quote a key
 * @throws {FathomError} invalid_request, param `source`
 * @example parseApiKeys("k1, k2", "--api-keys") // ["k1", "k2"]
 */
export function parseApiKeys(text: string, source: string): string[] {
  const keys = text.split(",").map((key) => key.trim());
  const wrong = keys.every((key) => key === "") ? NO_KEYS : keysProblem(keys);
  if (wrong !== undefined) throw new FathomError("invalid_request", `${source} ${wrong}.`, source);
  return keys;
}

const NO_KEYS = "holds no key, so nobody could call; name at least one key, or leave it out to let everyone in";

/** What is wrong with a list of keys, as a predicate; keys are told by their place, as they are secret. */
function keysProblem(keys: readonly unknown[]): string | undefined {
  if (keys.length === 0) return NO_KEYS;
  for (const [index, key] of keys.entries()) {
    const place = `has as key ${index + 1} of ${keys.length}`;
    if (typeof key !== "string") return `${place} no text but ${describeValue(key)}`;
    if (key === "") return `${place} an empty text`;
    if (!BEARER_TOKEN.test(key))
      return `${place} one that no caller can send; a key is made of letters, digits and -._~+/, with = at its end alone`;
    if (key.length > LONGEST_KEY) return `${place} one of ${key.length} characters; the longest that can be sent has ${LONGEST_KEY}`;
    const first = keys.indexOf(key);
    if (first < index) return `${place} the same as key ${first + 1}`;
  }
  return undefined;
}

/** The key that a request brings, read as the check of keys reads it. */
export function bearerKey(c: Context): string | undefined {
  const header = c.req.header("authorization") ?? "";
  const key = /^bearer /i.test(header) ? header.slice("bearer ".length).trimStart() : "";
  return key === "" ? undefined : key;
}

export function keyAuth(keys: ApiKeys): MiddlewareHandler {
  const refusal = (message: string) => ({
    message: (c: Context) => Response.json(errorBody(new ApiError(401, "invalid_api_key", message), c.req.path), { status: 401 }),
  });
  return bearerAuth({
    ...(typeof keys === "function" ? { verifyToken: (key: string, c: Context) => isLetIn(keys, key, c) } : { token: [...keys] }),
    noAuthenticationHeader: refusal("This server asks for a key; send it as Authorization: Bearer KEY."),
    invalidAuthenticationHeader: refusal("The header Authorization is not of the form Bearer KEY."),
    invalidToken: refusal("This key is not valid here."),
  });
}

/** @throws {Error} where the function gives anything but true or false */
async function isLetIn(verify: Exclude<ApiKeys, readonly string[]>, key: string, c: Context): Promise<boolean> {
  const given = await decision("apiKeys", () => verify(key, c));
  if (typeof given !== "boolean")
    throw new TypeError(`apiKeys must give true or false, not ${describeValue(given)}; the request is refused.`);
  return given;
}
