/**
 * Data from outside against a valibot schema. In the schemas of this folder a message is an expectation ("a number
 * from 0 to 2"); from it and the value that came, the first issue becomes one sentence with the field's name.
 */
import * as v from "valibot";
import { ApiError } from "./errors.ts";

/** Longest excerpt of a wrong value in a message, in characters. */
const EXCERPT = 60;
/** Longest excerpt of somebody else's sentence. */
const MESSAGE_EXCERPT = 200;
/** Most levels of lists and objects in a body: tool schemas of other servers' requests stay below it. */
const DEEPEST = 64;
/** Control, format and unassigned characters, halves of pairs, and what breaks lines. */
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}]/gu;
/** What a cut may leave of a character. */
const HALF_PAIR = /[\uD800-\uDBFF]$/;

/** A field's name, or an element's place. */
export type Key = string | number;

/** What is wrong with a value. */
export interface Finding {
  /** The path of the value, e.g. `exit.threshold`; empty for the value itself. */
  readonly field: string;
  /** The path of the value, key by key. */
  readonly keys: readonly Key[];
  readonly kind: "unknown" | "missing" | "type" | "value";
  readonly expected: string;
  readonly input: unknown;
}

/** The value as the schema gives it, or the first thing that is wrong with it. */
export function inspect<S extends v.GenericSchema>(schema: S, value: unknown): { output: v.InferOutput<S> } | { finding: Finding } {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return { output: result.output };
  const [issue] = result.issues;
  const keys = (issue.path ?? []).map(({ key }) => key as Key);
  const isMissing = issue.kind === "schema" && issue.input === undefined;
  const isType = issue.kind === "schema" && issue.type !== "picklist";
  const kind = issue.expected === "never" ? "unknown" : isMissing ? "missing" : isType ? "type" : "value";
  return { finding: { field: v.getDotPath(issue) ?? "", keys, kind, expected: issue.message, input: issue.input } };
}

/** @param path prefix of the parameter's name in messages. @throws {ApiError} 400 naming the field */
export function check<S extends v.GenericSchema>(schema: S, value: unknown, path = ""): v.InferOutput<S> {
  return checkNamed(schema, value, ({ field }) => joined(path, printable(field, EXCERPT)));
}

/** @param nameOf the parameter's name in messages. @throws {ApiError} 400 naming the field */
export function checkNamed<S extends v.GenericSchema>(schema: S, value: unknown, nameOf: (finding: Finding) => string): v.InferOutput<S> {
  const found = inspect(schema, value);
  if ("output" in found) return found.output;
  const { kind, expected, input } = found.finding;
  const param = nameOf(found.finding);
  if (kind === "unknown") throw unknownParameter(param);
  if (kind === "missing") throw new ApiError(400, "missing_required_parameter", `${param || "The body"} is missing.`, param || undefined);
  const message = `${param || "The body"} must be ${expected}, not ${excerpt(input)}.`;
  throw new ApiError(400, kind === "type" ? "invalid_type" : "invalid_value", message, param || undefined);
}

export function unknownParameter(param: string): ApiError {
  return new ApiError(400, "unknown_parameter", `There is no parameter ${param} here; check its spelling or leave it out.`, param);
}

/** The name of a field within another. */
export function joined(path: string, field: string): string {
  return path === "" || field === "" ? path + field : `${path}.${field}`;
}

/** valibot's own objects would take a list, too. */
function notAList(expected: string) {
  return v.custom<Record<string, unknown>>((value) => typeof value === "object" && value !== null && !Array.isArray(value), expected);
}

/** An object with these fields; others are left out of the result. */
export function object<const E extends v.ObjectEntries>(entries: E, expected: string) {
  return v.pipe(notAList(expected), v.object(entries, expected));
}

/** An object with these fields alone; others are an error. */
export function strictObject<const E extends v.ObjectEntries>(entries: E, expected: string) {
  return v.pipe(notAList(expected), v.strictObject(entries, expected));
}

/** A finite number from `low` to `high`: Infinity comes of numbers that JSON can write and a computer cannot hold. */
export function number(low: number, high: number) {
  const expected = high === Infinity ? `a number of at least ${low}` : `a number from ${low} to ${high}`;
  return v.pipe(v.number(expected), v.finite(expected), v.minValue(low, expected), v.maxValue(high, expected));
}

/** @param high Infinity: what is too much is judged elsewhere, by a bound that means more to the caller */
export function wholeNumber(low: number, high = Number.MAX_SAFE_INTEGER) {
  const expected = high === Infinity ? `a whole number of at least ${low}` : `a whole number from ${low} to ${high}`;
  return v.pipe(v.number(expected), v.integer(expected), v.minValue(low, expected), v.maxValue(high, expected));
}

export function positive() {
  const expected = "a finite number above 0";
  return v.pipe(v.number(expected), v.finite(expected), v.gtValue(0, expected));
}

export function oneOf<const T extends readonly string[]>(values: T) {
  return v.picklist(values, `one of ${values.join(", ")}`);
}

/** A value as JSON for a message: printable, no longer than EXCERPT, at no more cost than that, whatever the value. */
export function excerpt(value: unknown): string {
  return printable(written(value, EXCERPT + 1), EXCERPT);
}

/** Text for a message: characters that would not show, or would change how the rest shows, as \u{...}. */
export function printable(text: string, most = MESSAGE_EXCERPT): string {
  const shown = text.replaceAll(HIDDEN, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
  return shown.length > most ? `${shown.slice(0, most).replace(HALF_PAIR, "")}...` : shown;
}

/** The beginning of a value's JSON, `most` characters or a little more. */
function written(value: unknown, most: number): string {
  if (typeof value === "string") return value.length > most ? JSON.stringify(value.slice(0, most)).slice(0, -1) : JSON.stringify(value);
  if (typeof value !== "object" || value === null) return String(value);
  const isList = Array.isArray(value);
  let text = isList ? "[" : "{";
  for (const key in value) {
    if (text.length > most) return text;
    if (text.length > 1) text += ",";
    if (!isList) text += `${written(key, most - text.length)}:`;
    text += written((value as Record<string, unknown>)[key], most - text.length);
  }
  return text + (isList ? "]" : "}");
}

/**
 * Refuses values nested deeper than DEEPEST: what reads them recursively would overflow the stack, or never end where
 * they refer to themselves. Each object is looked at once a level, however often it is referred to.
 * @throws {ApiError} 400 nested_too_deep
 */
export function refuseDeep(value: unknown): void {
  let level = new Set([value].filter(isContainer));
  for (let depth = 0; level.size > 0; depth++) {
    if (depth === DEEPEST)
      throw new ApiError(400, "nested_too_deep", `The body is nested more than ${DEEPEST} levels deep; no request needs that.`);
    const next = new Set<object>();
    for (const container of level) for (const inner of Object.values(container)) if (isContainer(inner)) next.add(inner);
    level = next;
  }
}

function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
