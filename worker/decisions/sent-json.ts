/**
 * JSON with what JavaScript's own objects lose: the order of keys that look like numbers, and the digits of numbers. The
 * values are JSON.parse's; each object or list among them also has its entries and its text as they were sent. Of a key
 * that is there twice the last counts, as in JSON.parse.
 */
import { refuseDeep } from "../check.ts";

export interface SentJson {
  readonly value: unknown;
  /** An object's keys and values in the order sent. @param object one within `value` */
  entries(object: object): [string, unknown][];
  /** Compact JSON of an object or list within `value`: keys in the order sent, numbers digit by digit. */
  write(container: object): string;
}

/**
 * @param text JSON
 * @throws {SyntaxError} where it is not JSON
 * @throws {ApiError} 400 nested_too_deep
 * @example
 * ```ts
 * const sent = parseSent('{"10": 1.0, "2": null}');
 * sent.write(sent.value as object); // {"10":1.0,"2":null}
 * ```
 */
export function parseSent(text: string): SentJson {
  const value: unknown = JSON.parse(text);
  refuseDeep(value);
  const marked = new Map<object, Marked>();
  pair(value, JSON.parse(mark(text)) as Marked, marked);
  return {
    value,
    entries: (object) => Object.keys(marked.get(object)!).map((key) => [key.slice(1), (object as Fields)[key.slice(1)]]),
    write: (container) => write(marked.get(container)!),
  };
}

type Fields = Readonly<Record<string, unknown>>;

/** Texts and keys begin with a mark, so that no key looks like a number; numbers are texts with another mark. */
type Marked = string | boolean | null | readonly Marked[] | { readonly [key: string]: Marked };

const TEXT = "=";
const NUMBER = "#";

/** Marks valid JSON. Cut at its quotes, parts are outside of texts and within them by turns, but for quotes escaped. */
function mark(json: string): string {
  let place: "outside" | "opening" | "within" = "outside";
  const parts = json.split('"').map((part) => {
    const before = place;
    place = before === "outside" ? "opening" : endsEscaping(part) ? "within" : "outside";
    if (before === "outside") return part.replaceAll(/-?\d[\d.eE+-]*/g, `"${NUMBER}$&"`);
    return before === "opening" ? TEXT + part : part;
  });
  return parts.join('"');
}

/** Whether the last backslash escapes what follows. */
function endsEscaping(text: string): boolean {
  let backslashes = 0;
  while (text.at(-1 - backslashes) === "\\") backslashes++;
  return backslashes % 2 === 1;
}

/** Finds the marked form of each object and list. */
function pair(value: unknown, form: Marked, marked: Map<object, Marked>): void {
  if (typeof value !== "object" || value === null) return;
  marked.set(value, form);
  if (Array.isArray(form)) form.forEach((inner: Marked, i) => pair((value as readonly unknown[])[i], inner, marked));
  else for (const [key, inner] of Object.entries(form as object)) pair((value as Fields)[key.slice(1)], inner, marked);
}

function write(form: Marked): string {
  if (typeof form === "string") return form.startsWith(NUMBER) ? form.slice(1) : JSON.stringify(form.slice(1));
  if (typeof form !== "object" || form === null) return String(form);
  if (Array.isArray(form)) return `[${form.map(write).join(",")}]`;
  const members = Object.entries(form).map(([key, inner]) => `${JSON.stringify(key.slice(1))}:${write(inner)}`);
  return `{${members.join(",")}}`;
}

/** JSON of a value in which Maps are objects whose keys keep their order. */
export function writeJson(value: unknown): string {
  if (value instanceof Map) return `{${[...value].map(([key, inner]) => `${JSON.stringify(key)}:${writeJson(inner)}`).join(",")}}`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(writeJson).join(",")}]`;
  return writeJson(new Map(Object.entries(value).filter(([, inner]) => inner !== undefined)));
}
