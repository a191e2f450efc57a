/**
 * The values of @huggingface/jinja, which it does not export: how to make them, to look into them, and to take a
 * caller's marks (guarded-text.ts) off them and put them on again.
 */
import { Environment } from "@huggingface/jinja";
import { guard, isGuarded, reveal, revealCharacter } from "./guarded-text.ts";

/** A value of the library's, and a node of its syntax tree; it exports neither. */
export interface Value {
  readonly type: string;
  readonly value: unknown;
}
export type Node = { readonly type: string } & Readonly<Record<string, any>>;

/** Nodes of a block that are not expressions: they give what their own blocks wrote, or nothing. */
export const STATEMENTS = new Set([
  "Program",
  "If",
  "For",
  "Set",
  "Macro",
  "CallStatement",
  "FilterStatement",
  "Comment",
  "Break",
  "Continue",
]);

/** What str.strip() of Python removes. */
export const WHITESPACE: ReadonlySet<string> = new Set(
  "\t\n\v\f\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000",
);

/** A value of the interpreter's. */
export function toValue(value: unknown): Value {
  return new Environment().set("value", value);
}

export interface TextValue extends Value {
  readonly value: string;
}

const TextConstructor = toValue("").constructor as new (text: string) => TextValue;

export function textValue(text: string): TextValue {
  return new TextConstructor(text);
}

export function isText(value: Value): value is TextValue {
  return value.type === "StringValue";
}

export function isContainer(value: Value): boolean {
  return Array.isArray(value.value) || value.value instanceof Map;
}

/** What a container holds; of a mapping its values. */
export function items(container: Value): readonly Value[] {
  const held = container.value as unknown as Value[] | Map<string, Value>;
  return held instanceof Map ? [...held.values()] : held;
}

export function spreadValues(value: Value): Value[] {
  return isContainer(value) ? [value, ...items(value)] : [value];
}

/** A node that stands for a value already evaluated. */
export function given(value: Value): Node {
  return { type: "Given", value };
}

/** A text, or a list's own texts, without marks; the same value where there were none. */
export function plain(value: Value): Value {
  if (isText(value)) return isGuarded(value.value) ? textValue(reveal(value.value)) : value;
  if (!Array.isArray(value.value) || !items(value).some((item) => isText(item) && isGuarded(item.value))) return value;
  return remade(
    value,
    items(value).map((item) => (isText(item) ? plain(item) : item)),
  );
}

/** A value without marks anywhere; the same value where there were none. */
export function plainWithin(value: Value): Value {
  if (isText(value)) return plain(value);
  if (Array.isArray(value.value)) {
    const held = items(value).map(plainWithin);
    return held.every((item, i) => item === items(value)[i]) ? value : remade(value, held);
  }
  if (value.value instanceof Map) {
    const entries = [...(value.value as unknown as Map<string, Value>)].map(
      ([key, item]) => [key, reveal(key), item, plainWithin(item)] as const,
    );
    if (entries.every(([key, shownKey, item, shown]) => key === shownKey && item === shown)) return value;
    return remade(value, new Map(entries.map(([, key, , item]) => [key, item])));
  }
  return value;
}

/** A text, or the texts of a list, marked as a caller's. */
export function mark(value: Value): Value {
  if (isText(value)) return textValue(guard(reveal(value.value)));
  return Array.isArray(value.value) ? remade(value, items(value).map(mark)) : value;
}

/** A container of the same kind that holds something else. */
function remade(container: Value, held: unknown): Value {
  return new (container.constructor as new (held: unknown) => Value)(held);
}

/** str.strip, lstrip and rstrip of Python, marks kept. */
export function strip(text: string, cut: ReadonlySet<string>, left: boolean, right: boolean): string {
  let [start, end] = [0, text.length];
  const most = left ? end : 0;
  while (start < most) {
    const character = String.fromCodePoint(text.codePointAt(start)!);
    if (!cut.has(revealCharacter(character))) break;
    start += character.length;
  }
  const least = right ? start : end;
  while (end > least) {
    const isPair = end - 2 >= start && text.codePointAt(end - 2)! > 0xffff;
    const character = text.slice(end - (isPair ? 2 : 1), end);
    if (!cut.has(revealCharacter(character))) break;
    end -= character.length;
  }
  return text.slice(start, end);
}

/** How often a text holds another; of none, how many words it has at most. */
export function occurrences(text: string, part: string | undefined): number {
  if (part === "") return text.length + 1;
  let count = 0;
  if (part === undefined) for (const _ of text.matchAll(/\s+/g)) count++;
  else for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}
