/**
 * Dictionaries of HTTP structured fields (RFC 9651), as far as a budget needs them: numbers, tokens, texts, booleans
 * and their parameters. Decimals may have more than the three places that the RFC allows, as money needs them.
 */

export type BareItem = number | string | boolean;

export interface Member {
  readonly key: string;
  readonly value: BareItem;
  readonly parameters: ReadonlyMap<string, BareItem>;
}

const KEY = /[a-z*][a-z0-9_.*-]*/y;
const NUMBER = /-?\d{1,15}(?:\.\d{1,15})?/y;
const TOKEN = /[A-Za-z*][!#$%&'*+.^_`|~:/\w-]*/y;
const TEXT = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y;
const BOOLEAN = /\?([01])/y;
const COMMA = /[ \t]*,[ \t]*/y;

/** Members in order, repeated keys included; undefined where the text is not a dictionary of such items. */
export function parseDictionary(text: string): Member[] | undefined {
  const input = text.trim();
  const members: Member[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(input);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  const item = (): BareItem | undefined => {
    const number = take(NUMBER);
    if (number !== null) return Number(number[0]);
    const quoted = take(TEXT);
    if (quoted !== null) return quoted[1]!.replace(/\\(.)/g, "$1");
    const boolean = take(BOOLEAN);
    if (boolean !== null) return boolean[1] === "1";
    return take(TOKEN)?.[0];
  };
  /** `=item`, or true where there is no value. */
  const valued = (): BareItem | undefined => {
    if (input[at] !== "=") return true;
    at++;
    return item();
  };
  while (at < input.length) {
    const key = take(KEY)?.[0];
    if (key === undefined) return undefined;
    const value = valued();
    if (value === undefined) return undefined;
    const parameters = new Map<string, BareItem>();
    while (take(/ *; */y) !== null) {
      const name = take(KEY)?.[0];
      const parameter = name === undefined ? undefined : valued();
      if (name === undefined || parameter === undefined) return undefined;
      parameters.set(name, parameter);
    }
    members.push({ key, value, parameters });
    if (at === input.length) break;
    if (take(COMMA) === null || at === input.length) return undefined;
  }
  return members;
}
