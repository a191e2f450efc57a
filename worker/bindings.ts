/**
 * What the Workers of this package are told by their bindings (wrangler.toml, secrets), checked when the Worker starts:
 * a wrong one stops it there, with its name in the message and nothing of a secret's content.
 */
import * as v from "valibot";
import { checkOptions, named, record, refuse, wholeNumber } from "../engine/options.ts";
import { nearest } from "../engine/nearest.ts";
import { aliases } from "./aliases.ts";
import { apiKeys, parseApiKeys, type ApiKey } from "./keys.ts";
import type { RateLimiter, Rates } from "./rates.ts";

export interface Bindings {
  /** The folder models/. */
  readonly ASSETS: Fetcher;
  /** Name of the folder to serve, within it. */
  readonly MODEL: string;
  /** Secret: keys that open /v1, or their digests, as in createApp: separated by commas, or as JSON. */
  readonly API_KEYS?: string;
  /** "true": everyone may call. A Worker that has neither this nor keys does not start. [default "false"] */
  readonly OPEN_TO_ALL?: string;
  /** Rates by name, e.g. {"default": {"binding": "RATE", "requests": 100, "periodSeconds": 60}}. [default nobody is counted] */
  readonly RATES?: string | Readonly<Record<string, RateSetting>>;
  /** Host names that the Worker answers to, separated by commas: for a local one. [default any] */
  readonly ALLOWED_HOSTS?: string;
  /** Further names of the model, e.g. {"jev-latest": "nano"}, as JSON or its text. [default none] */
  readonly ALIASES?: string | Readonly<Record<string, string>>;
  /** A data point a completion goes here, where it is bound. */
  readonly ANALYTICS?: AnalyticsEngineDataset;
  /** What the Tail Worker measured is read here when a model is loaded, where it is bound. [default the card's numbers] */
  readonly CALIBRATION?: KVNamespace;
  /** "true": one line a completion goes to the log, for the Tail Worker. [default "false"] */
  readonly LOG_WORK?: string;
}

/** A rate of the variable RATES: the name of its rate limit binding, and what that allows. */
export interface RateSetting {
  readonly binding: string;
  readonly requests: number;
  readonly periodSeconds: number;
}

/** Bindings that say how the Worker behaves, read. */
export interface WorkerSettings {
  readonly MODEL: string;
  readonly API_KEYS?: readonly (string | ApiKey)[];
  readonly RATES?: Rates<object>;
  readonly ALLOWED_HOSTS?: string[];
  readonly LOG_WORK: boolean;
  readonly ALIASES?: Record<string, string>;
}

/** A path of plain names: it becomes part of a URL. */
const FOLDER = /^[\w-][\w.-]*(\/[\w-][\w.-]*)*$/;

/** Texts of keys, or a list of them as JSON. */
const keys = v.pipe(
  v.string('a text such as "key-1, key-2"'),
  v.rawTransform<string, readonly (string | ApiKey)[]>((context) => {
    const text = context.dataset.value.trim();
    try {
      if (!text.startsWith("[")) return parseApiKeys(text, "API_KEYS");
      return checkOptions("API_KEYS", apiKeys, JSON.parse(text)) as readonly (string | ApiKey)[];
    } catch (error) {
      const why = error instanceof SyntaxError ? "begins with [ and is no JSON" : (error as Error).message;
      refuse(context, why.replace(/^API_KEYS:? (?:what it was given )?(.*)\.$/s, "$1"));
      return context.NEVER;
    }
  }),
);

/** A binding, by the function that is used of it. */
function binding<T>(method: string, expected: string) {
  return v.custom<T>((value) => typeof (Object(value) as Record<string, unknown>)[method] === "function", expected);
}

const onOrOff = v.pipe(
  v.union([v.picklist(["true", "false"]), v.boolean()], '"true" or "false"'),
  v.transform((on) => on === true || on === "true"),
);

/** What wrangler hands on as it is, and --var and secrets as a text of JSON. @param expected for messages */
function jsonOf(expected: string) {
  return v.pipe(
    v.unknown(),
    v.rawTransform<unknown, unknown>((context) => {
      const given = context.dataset.value;
      if (typeof given !== "string") return given;
      try {
        return JSON.parse(given) as unknown;
      } catch {
        refuse(context, `must be ${expected}, or its JSON, and this text is no JSON`);
        return context.NEVER;
      }
    }),
  );
}

const aliasTable = v.pipe(jsonOf('an object of names such as {"jev-latest": "nano"}'), aliases);

const rateTable = v.pipe(
  jsonOf('an object such as {"default": {"binding": "RATE", "requests": 100, "periodSeconds": 60}}'),
  record(named({ binding: v.string("the name of a rate limit binding"), requests: wholeNumber(1), periodSeconds: wholeNumber(1) })),
);

const settings = named({
  ASSETS: binding<Fetcher>("fetch", "a binding to static assets"),
  ANALYTICS: v.exactOptional(binding<AnalyticsEngineDataset>("writeDataPoint", "a binding to an Analytics Engine dataset")),
  CALIBRATION: v.exactOptional(binding<KVNamespace>("get", "a binding to a KV namespace")),
  MODEL: v.pipe(v.string("the name of a model folder"), v.regex(FOLDER, 'the name of a model folder, such as "nano"')),
  API_KEYS: v.exactOptional(keys),
  ALLOWED_HOSTS: v.exactOptional(
    v.pipe(
      v.string("a text of host names, separated by commas"),
      v.transform((text) => text.split(",").map((host) => host.trim())),
    ),
  ),
  ALIASES: v.exactOptional(aliasTable),
  RATES: v.exactOptional(rateTable),
  OPEN_TO_ALL: v.exactOptional(onOrOff, "false"),
  LOG_WORK: v.exactOptional(onOrOff, "false"),
});

const NAMES = ["MODEL", "API_KEYS", "OPEN_TO_ALL", "RATES", "ALLOWED_HOSTS", "LOG_WORK", "ALIASES", "ASSETS", "ANALYTICS", "CALIBRATION"];

const WHO = "The Worker's bindings";

/**
 * Reads the bindings that are this package's; others are left alone, unless they look like one of ours misspelt.
 * @throws {TypeError} naming the binding that is wrong
 */
export function readBindings(env: object): WorkerSettings {
  for (const name of Object.keys(env)) {
    const meant = NAMES.includes(name) ? undefined : nearest(name, NAMES);
    if (meant !== undefined && !Object.hasOwn(env, meant))
      throw new TypeError(`${WHO}: ${name} is none that it knows (did you mean ${meant}?).`);
  }
  const own = Object.fromEntries(NAMES.map((name) => [name, (env as Record<string, unknown>)[name]]));
  const {
    ASSETS: _assets,
    ANALYTICS: _analytics,
    CALIBRATION: _calibration,
    OPEN_TO_ALL: isOpen,
    RATES: settled,
    ...read
  } = checkOptions(WHO, settings, own);
  if (read.API_KEYS === undefined && !isOpen)
    throw new TypeError(
      `${WHO}: there are no API_KEYS, so everyone could call and spend. Set them (wrangler secret put API_KEYS), ` +
        'or say OPEN_TO_ALL = "true" in [vars] if that is meant.',
    );
  return { ...read, ...(settled && { RATES: ratesOf(settled, env) }) };
}

/** @throws {TypeError} where a rate names a binding that is none */
function ratesOf(settings: Readonly<Record<string, RateSetting>>, env: object): Rates<object> {
  const entries = Object.entries(settings).map(([name, { binding, ...told }]) => {
    const limiter = (bindings: object): RateLimiter => (bindings as Record<string, RateLimiter>)[binding]!;
    if (typeof (limiter(env) as Partial<RateLimiter> | undefined)?.limit !== "function")
      throw new TypeError(`${WHO}: RATES.${name}.binding is ${JSON.stringify(binding)}, which is no rate limit binding of this Worker.`);
    return [name, { ...told, limiter }] as const;
  });
  return Object.fromEntries(entries);
}
