/**
 * What the Workers of this package are told by their bindings (wrangler.toml, secrets), checked when the Worker starts:
 * a wrong one stops it there, with its name in the message and nothing of a secret's content.
 */
import * as v from "valibot";
import { checkOptions, named, refuse } from "../engine/options.ts";
import { nearest } from "../engine/nearest.ts";
import { aliases } from "./aliases.ts";
import { parseApiKeys } from "./keys.ts";

export interface Bindings {
  /** The folder models/. */
  readonly ASSETS: Fetcher;
  /** Name of the folder to serve, within it. */
  readonly MODEL: string;
  /** Secret: keys that open /v1, separated by commas. Without it everyone may call. */
  readonly API_KEYS?: string;
  /** Host names that the Worker answers to, separated by commas: for a local one. [default any] */
  readonly ALLOWED_HOSTS?: string;
  /** Further names of the model, e.g. {"jev-latest": "nano"}, as JSON or its text. [default none] */
  readonly ALIASES?: string | Readonly<Record<string, string>>;
  /** A data point a completion goes here, where it is bound. */
  readonly ANALYTICS?: AnalyticsEngineDataset;
  /** "true": one line a completion goes to the log, for the Tail Worker. [default "false"] */
  readonly LOG_WORK?: string;
}

/** Bindings that say how the Worker behaves, read. */
export interface WorkerSettings {
  readonly MODEL: string;
  readonly API_KEYS?: string[];
  readonly ALLOWED_HOSTS?: string[];
  readonly LOG_WORK: boolean;
  readonly ALIASES?: Record<string, string>;
}

/** A path of plain names: it becomes part of a URL. */
const FOLDER = /^[\w-][\w.-]*(\/[\w-][\w.-]*)*$/;

const keys = v.pipe(
  v.string('a text such as "key-1, key-2"'),
  v.rawTransform<string, string[]>((context) => {
    try {
      return parseApiKeys(context.dataset.value, "API_KEYS");
    } catch (error) {
      refuse(context, (error as Error).message.replace(/^API_KEYS (.*)\.$/s, "$1"));
      return context.NEVER;
    }
  }),
);

/** A binding, by the function that is used of it. */
function binding<T>(method: string, expected: string) {
  return v.custom<T>((value) => typeof (Object(value) as Record<string, unknown>)[method] === "function", expected);
}

const SWITCH = '"true" or "false"';

const ALIAS_TABLE = 'an object of names such as {"jev-latest": "nano"}, or its JSON';

/** wrangler hands an object on as it is; --var and secrets are texts. */
const aliasTable = v.pipe(
  v.unknown(),
  v.rawTransform<unknown, unknown>((context) => {
    const given = context.dataset.value;
    if (typeof given !== "string") return given;
    try {
      return JSON.parse(given) as unknown;
    } catch {
      refuse(context, `must be ${ALIAS_TABLE}, and this text is no JSON`);
      return context.NEVER;
    }
  }),
  aliases,
);

const settings = named({
  ASSETS: binding<Fetcher>("fetch", "a binding to static assets"),
  ANALYTICS: v.exactOptional(binding<AnalyticsEngineDataset>("writeDataPoint", "a binding to an Analytics Engine dataset")),
  MODEL: v.pipe(v.string("the name of a model folder"), v.regex(FOLDER, 'the name of a model folder, such as "nano"')),
  API_KEYS: v.exactOptional(keys),
  ALLOWED_HOSTS: v.exactOptional(
    v.pipe(
      v.string("a text of host names, separated by commas"),
      v.transform((text) => text.split(",").map((host) => host.trim())),
    ),
  ),
  ALIASES: v.exactOptional(aliasTable),
  LOG_WORK: v.exactOptional(
    v.pipe(
      v.union([v.picklist(["true", "false"]), v.boolean()], SWITCH),
      v.transform((on) => on === true || on === "true"),
    ),
    "false",
  ),
});

const NAMES = ["MODEL", "API_KEYS", "ALLOWED_HOSTS", "LOG_WORK", "ALIASES", "ASSETS", "ANALYTICS"];

/**
 * Reads the bindings that are this package's; others are left alone, unless they look like one of ours misspelt.
 * @throws {TypeError} naming the binding that is wrong
 */
export function readBindings(env: object): WorkerSettings {
  for (const name of Object.keys(env)) {
    const meant = NAMES.includes(name) ? undefined : nearest(name, NAMES);
    if (meant !== undefined && !Object.hasOwn(env, meant))
      throw new TypeError(`The Worker's bindings: ${name} is none that it knows (did you mean ${meant}?).`);
  }
  const own = Object.fromEntries(NAMES.map((name) => [name, (env as Record<string, unknown>)[name]]));
  const { ASSETS: _assets, ANALYTICS: _analytics, ...read } = checkOptions("The Worker's bindings", settings, own);
  return read;
}
