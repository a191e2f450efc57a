/**
 * Data from outside against a valibot schema. In the schemas of this folder a message is an expectation ("a number
 * from 0 to 2"); from it and the value that came, the first issue becomes one sentence with the field's name.
 */
import * as v from "valibot";
import { ApiError } from "./errors.ts";

/** Longest excerpt of a wrong value in a message, in characters. */
const EXCERPT = 60;

/** @param path prefix of the parameter's name in messages. @throws {ApiError} 400 invalid_type or invalid_value */
export function check<S extends v.GenericSchema>(schema: S, value: unknown, path?: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const param = [path, v.getDotPath(issue) ?? undefined].filter((part) => part !== undefined).join(".");
  const isMissing = issue.kind === "schema" && issue.input === undefined;
  if (issue.expected === "never")
    throw new ApiError(400, "unknown_parameter", `There is no ${param} here; check its spelling or leave it out.`, param);
  if (isMissing) throw new ApiError(400, "missing_required_parameter", `${param} is missing.`, param);
  const code = issue.kind === "schema" && issue.type !== "picklist" ? "invalid_type" : "invalid_value";
  throw new ApiError(
    400,
    code,
    `${param === "" ? "The body" : param} must be ${issue.message}, not ${excerpt(issue.input)}.`,
    param || undefined,
  );
}

/** valibot's own objects would take a list, too. */
function notAList(expected: string) {
  return v.custom<Record<string, unknown>>((value) => typeof value === "object" && value !== null && !Array.isArray(value), expected);
}

/** Other fields are left out of the result. */
export function object<const E extends v.ObjectEntries>(entries: E, expected: string) {
  return v.pipe(notAList(expected), v.object(entries, expected));
}

/** Other fields are an error. */
export function strictObject<const E extends v.ObjectEntries>(entries: E, expected: string) {
  return v.pipe(notAList(expected), v.strictObject(entries, expected));
}

export function number(low: number, high: number) {
  const expected = high === Infinity ? `a number of at least ${low}` : `a number from ${low} to ${high}`;
  return v.pipe(v.number(expected), v.minValue(low, expected), v.maxValue(high, expected));
}

export function wholeNumber(low: number, high = Number.MAX_SAFE_INTEGER) {
  const expected = high === Number.MAX_SAFE_INTEGER ? `a whole number of at least ${low}` : `a whole number from ${low} to ${high}`;
  return v.pipe(v.number(expected), v.integer(expected), v.minValue(low, expected), v.maxValue(high, expected));
}

export function positive() {
  const expected = "a number above 0";
  return v.pipe(v.number(expected), v.finite(expected), v.gtValue(0, expected));
}

export function oneOf<const T extends readonly string[]>(values: T) {
  return v.picklist(values, `one of ${values.join(", ")}`);
}

export function excerpt(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > EXCERPT ? `${text.slice(0, EXCERPT)}...` : text;
}
