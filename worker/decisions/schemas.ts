/**
 * Building blocks of the two APIs' schemas. As everywhere in worker/, a message is an expectation ("a text").
 */
import * as v from "valibot";
import { object } from "../check.ts";

export const text = v.string("a text");
export const visibleText = v.pipe(text, v.regex(/\S/, "a text that is not blank"));

/** @param what in the plural, for messages: "choices" */
export function list<const S extends v.GenericSchema>(item: S, low: number, high: number, what: string) {
  const expected = high === Infinity ? `a list of at least ${low} ${what}` : `a list of ${low} to ${high} ${what}`;
  return v.pipe(v.array(item, expected), v.minLength(low, expected), v.maxLength(high, expected));
}

/** The one of several schemas that `pick` takes for a value; `options` are all that a right value may follow, for who reads schemas. */
export function chosen<T>(options: readonly v.GenericSchema[], pick: (value: unknown) => v.GenericSchema<unknown, T>) {
  return Object.assign(v.lazy(pick), { options });
}

/** A text, or a list of what another schema takes. @param what in the plural, for messages: "parts" */
export function textOrList<const S extends v.GenericSchema>(item: S, what: string) {
  const neither = v.array(v.any(), `a text or a list of ${what}`);
  const items = list(item, 1, Infinity, what);
  return chosen<string | v.InferOutput<S>[]>([text, items], (value) => {
    if (typeof value === "string") return text;
    return Array.isArray(value) ? (items as v.GenericSchema<unknown, v.InferOutput<S>[]>) : neither;
  });
}

/**
 * One of several objects, told apart by a field.
 * @param missing what the field is where it is left out [default it may not be]
 */
export function tagged<const O extends Record<string, v.GenericSchema>>(field: string, options: O, expected: string, missing?: keyof O) {
  const wrong = object({ [field]: v.picklist(Object.keys(options), expected) }, `an object whose ${field} is ${expected}`);
  return chosen<v.InferOutput<O[keyof O]>>(Object.values(options), (value) => {
    const tag = (value as Readonly<Record<string, unknown>> | null | undefined)?.[field] ?? missing;
    const option = typeof tag === "string" && Object.hasOwn(options, tag) ? options[tag] : wrong;
    return option as v.GenericSchema<unknown, v.InferOutput<O[keyof O]>>;
  });
}
