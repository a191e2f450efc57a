/**
 * Options that a host hands to a factory, against a valibot schema: each is read once, names are checked, and a wrong
 * one throws before anything is made from it. In these schemas a message is an expectation ("a whole number of at least
 * 1"), as in the worker's check of request bodies; `refuse` adds a whole predicate ("is empty") instead.
 */
import * as v from "valibot";
import { nearest } from "./nearest.ts";

/**
 * Checks options and gives a copy of what is known in them; an option that is undefined counts as left out.
 * @param factory who was called, for messages
 * @throws {TypeError} naming the option, what was expected, and the nearest right name of a misspelt one
 * @example checkOptions("createApp", named({ port: v.exactOptional(wholeNumber(1)) }), { port: 80 }) // { port: 80 }
 */
export function checkOptions<S extends v.GenericSchema>(factory: string, schema: S, options: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, options, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? undefined;
  throw new TypeError(`${factory}: ${path ?? "what it was given"} ${predicate(issue, path, schema)}.`);
}

function predicate(issue: v.BaseIssue<unknown>, path: string | undefined, schema: v.GenericSchema): string {
  if (issue.expected === UNKNOWN) return `is no option (${suggestion(path!, schema)})`;
  if (issue.expected === REFUSED) return issue.message;
  if (path !== undefined && issue.kind === "schema" && issue.received === "undefined") return "is missing";
  return `must be ${issue.message}, not ${describeValue(issue.input)}`;
}

/** Marks of issues that are not about a type. */
const UNKNOWN = "a known name";
const REFUSED = "otherwise";

type Context = Parameters<Parameters<typeof v.rawTransform<any, any>>[0]>[0];

/** Adds an issue whose message is a whole predicate of the option: "is empty: leave it out". */
export function refuse({ dataset, addIssue }: Pick<Context, "dataset" | "addIssue">, message: string): void {
  addIssue({ message, expected: REFUSED, input: dataset.value });
}

/** An object of options with these names and no others. Own and inherited properties count, getters are asked once. */
export function named<const E extends v.ObjectEntries>(entries: E) {
  const names = Object.keys(entries);
  return v.pipe(
    v.unknown(),
    v.rawTransform<unknown, Record<string, unknown>>((context) => {
      const read = readProperties(context, names);
      if (read === undefined) return context.NEVER;
      const stranger = read.names.find((name) => !names.includes(name));
      if (stranger !== undefined) {
        addAt(context, stranger, UNKNOWN, "");
        return context.NEVER;
      }
      return read.values;
    }),
    v.object(entries),
  );
}

/** An object whose names are the host's to choose. */
export function record<const S extends v.GenericSchema>(value: S) {
  return v.pipe(
    v.unknown(),
    v.rawTransform<unknown, Record<string, unknown>>((context) => {
      const read = readProperties(context);
      if (read === undefined) return context.NEVER;
      const wrong = read.names.find((name) => name === "" || RESERVED.includes(name));
      if (wrong !== undefined) {
        addAt(context, wrong, REFUSED, `is not a name to choose`);
        return context.NEVER;
      }
      return read.values;
    }),
    v.record(v.string(), value),
  );
}

/** Names that mean something else in an object. */
const RESERVED = ["__proto__", "constructor", "prototype"];

interface Properties {
  /** All names that are there, whatever they hold. */
  readonly names: readonly string[];
  /** What the options hold, less what is undefined. */
  readonly values: Record<string, unknown>;
}

/** @param wanted names that are read even where the object does not list them, as a proxy may not [default those listed] */
function readProperties(context: Context, wanted?: readonly string[]): Properties | undefined {
  const options: unknown = context.dataset.value;
  if (!isPlain(options)) {
    refuse(context, `must be an object, not ${describeValue(options)}`);
    return undefined;
  }
  const values: Record<string, unknown> = {};
  let reading: string | undefined;
  try {
    const names = namesOf(options);
    for (const name of wanted ?? names) {
      reading = name;
      const value: unknown = (options as Record<string, unknown>)[name];
      if (value !== undefined || wanted === undefined) Object.defineProperty(values, name, { value, enumerable: true });
    }
    return { names, values };
  } catch (error) {
    const message = `cannot be read: ${describeError(error)}`;
    if (reading === undefined) refuse(context, message);
    else addAt(context, reading, REFUSED, message);
    return undefined;
  }
}

/** An object or a module's namespace; no list, Map, Date or Promise. */
function isPlain(value: unknown): value is object {
  return describeValue(value) === "an object";
}

function addAt({ dataset, addIssue }: Context, key: string, expected: string, message: string): void {
  const path = { type: "object", origin: "value", input: dataset.value as Record<string, unknown>, key, value: undefined } as const;
  addIssue({ message, expected, path: [path] });
}

/** Prototypes that are looked through: more than any host has, fewer than forever. */
const MOST_PROTOTYPES = 16;

/** Names of an object's own properties and of its prototypes', those of every object and constructors left out. */
function namesOf(options: object): string[] {
  const names: string[] = [];
  let object: object | null = options;
  for (let depth = 0; object !== null && !isEverysPrototype(object) && depth < MOST_PROTOTYPES; depth++) {
    const inherited = depth > 0;
    names.push(...Object.getOwnPropertyNames(object).filter((name) => !(inherited && name === "constructor")));
    object = Object.getPrototypeOf(object) as object | null;
  }
  return names;
}

/** Object.prototype, of this realm or of another. */
function isEverysPrototype(object: object): boolean {
  return Object.getPrototypeOf(object) === null && Object.hasOwn(object, "isPrototypeOf");
}

/** Whether a value must be awaited. @throws what its getter throws */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (typeof value === "object" || typeof value === "function") && value !== null && typeof (value as any).then === "function";
}

/** The nearest name beside the wrong one, else the nearest anywhere, else all that are beside it. */
function suggestion(path: string, schema: v.GenericSchema): string {
  const known = pathsOf(schema);
  const [wrong, parent] = [lastPart(path), path.slice(0, path.length - lastPart(path).length)];
  const siblings = known.filter((p) => p.startsWith(parent) && !p.slice(parent.length).includes("."));
  const near = (paths: readonly string[]): string | undefined => {
    const part = nearest(wrong, paths.map(lastPart));
    return paths.find((p) => lastPart(p) === part);
  };
  const found = near(siblings) ?? near(known);
  return found === undefined ? `there are ${siblings.map(lastPart).join(", ")}` : `did you mean ${found}?`;
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

/** All names of a schema, dotted. */
function pathsOf(schema: unknown, prefix = ""): string[] {
  const { entries, wrapped, pipe } = schema as { entries?: v.ObjectEntries; wrapped?: unknown; pipe?: readonly unknown[] };
  if (entries !== undefined) return Object.entries(entries).flatMap(([name, of]) => [prefix + name, ...pathsOf(of, `${prefix}${name}.`)]);
  if (wrapped !== undefined) return pathsOf(wrapped, prefix);
  return pipe?.flatMap((part) => (part === schema ? [] : pathsOf(part, prefix))) ?? [];
}

/** A wrong value, for a message: short, and nothing of what an object holds. */
export function describeValue(value: unknown): string {
  if (typeof value === "string") return value.length > 40 ? `${JSON.stringify(value.slice(0, 40))}...` : JSON.stringify(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "symbol") return "a symbol";
  if (typeof value !== "object" || value === null) return String(value);
  try {
    if (isPromise(value)) return "a Promise (await it first)";
    if (Array.isArray(value)) return "a list";
    const tag = Object.prototype.toString.call(value).slice("[object ".length, -1);
    return ["Object", "Module"].includes(tag) ? "an object" : `a ${tag}`;
  } catch {
    return "an object that cannot be read";
  }
}

/** What was thrown, whatever it is. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : describeValue(error);
}

/** A function; only who calls it knows what it gives. */
export function callable<F extends (...args: never[]) => unknown>() {
  return v.custom<F>((value) => typeof value === "function", "a function");
}

export function flag() {
  return v.boolean("true or false");
}

export function wholeNumber(low: number) {
  const expected = `a whole number of at least ${low}`;
  return v.pipe(v.number(expected), v.safeInteger(expected), v.minValue(low, expected));
}

/** A whole number, or Infinity for no limit. */
export function ceiling(low: number) {
  const expected = `a whole number of at least ${low}, or Infinity`;
  const isWithin = (n: number): boolean => n === Infinity || (Number.isSafeInteger(n) && n >= low);
  return v.pipe(v.number(expected), v.check(isWithin, expected));
}

export function positive() {
  const expected = "a finite number above 0";
  return v.pipe(v.number(expected), v.finite(expected), v.gtValue(0, expected));
}

export function notNegative() {
  const expected = "a finite number of at least 0";
  return v.pipe(v.number(expected), v.finite(expected), v.minValue(0, expected));
}

export function share() {
  const expected = "a number from 0 to 1";
  return v.pipe(v.number(expected), v.minValue(0, expected), v.maxValue(1, expected));
}

export function oneOf<const T extends readonly string[]>(values: T) {
  return v.picklist(values, `one of ${values.join(", ")}`);
}
