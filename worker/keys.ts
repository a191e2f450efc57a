/**
 * Bearer keys: which there can be, as texts or by their SHA-256, and finding the one that a caller presents. Digests are
 * compared, all of them and whole, so time tells nothing of a key. Not here: headers and refusals (auth.ts).
 */
import type { Context } from "hono";
import * as v from "valibot";
import type { Budget } from "../engine/budget/budget.ts";
import { FathomError } from "../engine/errors.ts";
import { checkOptions, describeValue, named, refuse } from "../engine/options.ts";
import { budgetOption } from "./budget-option.ts";

/** A key of which the configuration knows the digest alone, and what its caller may do. */
export interface ApiKey {
  /** The key's SHA-256 in hex: `printf %s "$KEY" | sha256sum`. */
  readonly sha256: string;
  /** What the key is called where requests are counted. [default the first digits of its digest] */
  readonly name?: string | undefined;
  /** Ceiling over what its caller may spend on a request. [default that of everyone] */
  readonly budget?: Budget | undefined;
  /** Which of the app's `rates` counts its requests. [default "default"] */
  readonly rate?: string | undefined;
}

/**
 * The keys: texts, digests as "sha256:HEX", or digests with ceilings. Or a function that knows them: it lets in whom it
 * says exactly `true` of.
 */
export type ApiKeys = readonly (string | ApiKey)[] | ((key: string, c: Context<any>) => boolean | Promise<boolean>);

/** What a bearer token may be (RFC 6750, section 2.1); any other key would never match. */
const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** Longest key, in characters: a longer one is larger than the headers that hosts take. */
const LONGEST_KEY = 4096;

/** Marks a digest in a list of keys; no bearer token has a colon. */
const DIGEST_MARK = "sha256:";
const DIGEST = /^[0-9a-f]{64}$/i;
const DIGEST_WORDS = "64 hex digits, a key's SHA-256";

const apiKey = named({
  sha256: v.pipe(v.string(DIGEST_WORDS), v.regex(DIGEST, DIGEST_WORDS)),
  name: v.exactOptional(v.pipe(v.string("a text"), v.minLength(1, "a text that is not empty"))),
  budget: v.exactOptional(budgetOption),
  rate: v.exactOptional(v.pipe(v.string("a text"), v.minLength(1, "the name of one of rates"))),
});

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
    if (wrong === undefined) return keys as (string | ApiKey)[];
    refuse(context, wrong);
    return context.NEVER;
  }),
);

/** A copy of a list, read once, objects in it too; undefined where it is none. */
function listOf(value: unknown): unknown[] | undefined {
  try {
    return Array.isArray(value)
      ? Array.from(value, (key: unknown) => (describeValue(key) === "an object" ? { ...(key as object) } : key))
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Reads keys separated by commas, blanks around them left out.
 * @param source where they come from, for messages, which never quote a key
 * @throws {FathomError} invalid_request, param `source`
 * @example parseApiKeys("k1, sha256:2c26...", "--api-keys") // ["k1", "sha256:2c26..."]
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
  const seen = new Map<string, number>();
  for (const [index, key] of keys.entries()) {
    const wrong = typeof key === "string" ? textProblem(key) : objectProblem(key);
    if (wrong !== undefined) return `has as key ${index + 1} of ${keys.length} ${wrong}`;
    const same =
      typeof key === "string"
        ? key.toLowerCase().startsWith(DIGEST_MARK)
          ? key.toLowerCase()
          : key
        : DIGEST_MARK + (key as ApiKey).sha256.toLowerCase();
    if (seen.has(same)) return `has as key ${index + 1} of ${keys.length} the same as key ${seen.get(same)! + 1}`;
    seen.set(same, index);
  }
  return undefined;
}

function textProblem(key: string): string | undefined {
  if (key === "") return "an empty text";
  if (key.startsWith(DIGEST_MARK)) return DIGEST.test(key.slice(DIGEST_MARK.length)) ? undefined : `a digest that is not ${DIGEST_WORDS}`;
  if (!BEARER_TOKEN.test(key)) return "one that no caller can send; a key is made of letters, digits and -._~+/, with = at its end alone";
  if (key.length > LONGEST_KEY) return `one of ${key.length} characters; the longest that can be sent has ${LONGEST_KEY}`;
  return undefined;
}

function objectProblem(key: unknown): string | undefined {
  if (describeValue(key) !== "an object") return `no text but ${describeValue(key)}`;
  try {
    checkOptions("", apiKey, key);
    return undefined;
  } catch (error) {
    return `one whose ${(error as Error).message.replace(/^: (.*)\.$/s, "$1")}`;
  }
}

/** Who a request comes from, as far as keys tell. */
export interface Caller {
  /** Stands for the caller where requests are counted; never the key itself. */
  readonly id: string;
  readonly budget?: Budget | undefined;
  readonly rate?: string | undefined;
}

/** Digits of a digest that stand for a key without a name. */
const ID_DIGITS = 12;

/** Finds the caller of a presented key; undefined where it is none of the keys. */
export type FindCaller = (presented: string) => Promise<Caller | undefined>;

/** Finds callers in a list that `apiKeys` has checked. */
export function callersOf(keys: readonly (string | ApiKey)[]): FindCaller {
  let known: readonly { digest: Uint8Array; caller: Caller }[] | undefined;
  return async (presented) => {
    const digest = await sha256(presented);
    known ??= await Promise.all(keys.map(knownKey)); // by each request until one has it: Workers share values, not promises
    let found: Caller | undefined;
    for (const key of known) if (isSame(key.digest, digest)) found = key.caller;
    return found;
  };
}

async function knownKey(key: string | ApiKey): Promise<{ digest: Uint8Array; caller: Caller }> {
  if (typeof key !== "string") {
    const { sha256: hex, name, budget, rate } = key;
    return { digest: bytesOf(hex), caller: { id: name ?? hex.slice(0, ID_DIGITS).toLowerCase(), budget, rate } };
  }
  const digest = key.startsWith(DIGEST_MARK) ? bytesOf(key.slice(DIGEST_MARK.length)) : await sha256(key);
  return { digest, caller: { id: hexOf(digest).slice(0, ID_DIGITS) } };
}

/** Stands for a key that a function let in. */
export async function callerOf(presented: string): Promise<Caller> {
  return { id: hexOf(await sha256(presented)).slice(0, ID_DIGITS) };
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Looks at every byte, wherever they first differ. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}
