/**
 * Names of a request's fields as both kinds of clients are told them: `questions[3].choices` in a message and in `param`,
 * ["body", "questions", 3, "choices"] in `detail`.
 */
import { printable, type Key } from "../check.ts";

/** Longest key within a name, in characters. */
const LONGEST_KEY = 60;
const PLAIN = /^[A-Za-z_]\w*$/;

/** @example fieldName(["questions", 3, "choices"]) // "questions[3].choices"; a key such as "a.b" is written ["a.b"] */
export function fieldName(keys: readonly Key[]): string {
  const written = keys.map((key) => {
    if (typeof key === "number") return `[${key}]`;
    return PLAIN.test(key) ? `.${printable(key, LONGEST_KEY)}` : `[${JSON.stringify(printable(key, LONGEST_KEY))}]`;
  });
  return written.join("").replace(/^\./, "");
}

/** The keys of a field's name; of any other parameter's, such as X-Budget, the name alone. */
export function fieldKeys(name: string): Key[] {
  return [...name.matchAll(/\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|([^.[\]]+)/g)].map(([, place, quoted, plain]) =>
    place !== undefined ? Number(place) : (quoted ?? plain)!,
  );
}
