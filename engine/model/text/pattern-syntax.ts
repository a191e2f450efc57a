/**
 * The syntax of a tokenizer's regular expression, as far as its running time depends on it: sequences, alternatives,
 * repeats, lookarounds, and sets of single characters. Not here: what that time is (pattern-cost.ts).
 */

/** One character of a set. `source` is its text in the pattern; `ignoreCase` by an enclosing (?i:...). */
export interface CharacterSet {
  readonly kind: "set";
  readonly source: string;
  readonly ignoreCase: boolean;
}

export type PatternNode =
  | CharacterSet
  | { readonly kind: "sequence"; readonly items: readonly PatternNode[] }
  | { readonly kind: "choice"; readonly options: readonly PatternNode[] }
  | { readonly kind: "repeat"; readonly item: PatternNode; readonly min: number; readonly max: number }
  | { readonly kind: "look"; readonly item: PatternNode; readonly isNegativeAhead: boolean }
  | { readonly kind: "edge" };

const GROUP = /\(\?(?:(<?[=!])|([a-z]*(?:-[a-z]+)?)(:)|>|<[A-Za-z_]\w*>|([a-z]+)\))/y;
const ESCAPE = /\\(?:[pPxu]\{[^}]*\}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[\s\S])/uy;
const QUANTIFIER = /(?:([*+?])|\{(\d*)(,?)(\d*)\})[?+]?/y;
const EDGES = new Set(["\\b", "\\B", "\\A", "\\z", "\\Z", "\\G"]);
const DEEPEST = 50;

/** @throws {Error} where it is not of the documented syntax */
export function parsePattern(source: string): PatternNode {
  let at = 0;
  let depth = 0;

  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(source);
    if (match !== null) at = pattern.lastIndex;
    return match ?? undefined;
  };

  const choice = (ignoreCase: boolean): PatternNode => {
    if (++depth > DEEPEST) throw new Error("groups are nested too deeply");
    const options = [sequence(ignoreCase)];
    while (source[at] === "|") {
      at++;
      options.push(sequence(ignoreCase));
    }
    depth--;
    return options.length === 1 ? options[0]! : { kind: "choice", options };
  };

  const sequence = (ignoreCase: boolean): PatternNode => {
    const items: PatternNode[] = [];
    while (at < source.length && source[at] !== "|" && source[at] !== ")") {
      const item = atom(ignoreCase);
      const quantifier = item === undefined ? undefined : take(QUANTIFIER);
      if (item !== undefined) items.push(quantifier === undefined ? item : { kind: "repeat", item, ...range(quantifier) });
    }
    return items.length === 1 ? items[0]! : { kind: "sequence", items };
  };

  /** Parses one atom; undefined for flags that stand alone. */
  const atom = (ignoreCase: boolean): PatternNode | undefined => {
    const set = (text: string): PatternNode => ({ kind: "set", source: text, ignoreCase });
    const character = String.fromCodePoint(source.codePointAt(at)!);
    if (character === "(") return group(ignoreCase);
    if (character === "[") return set(characterClass());
    if (character === "\\") {
      const escape = take(ESCAPE)?.[0];
      if (escape === undefined) throw new Error("it ends with a backslash");
      if (/^\\[1-9k]/.test(escape)) throw new Error("back-references are not supported");
      return EDGES.has(escape) ? { kind: "edge" } : set(escape);
    }
    at += character.length;
    if (character === "^" || character === "$") return { kind: "edge" };
    return set(character === "." ? "[^\\n]" : character);
  };

  const group = (ignoreCase: boolean): PatternNode | undefined => {
    const head = take(GROUP);
    if (head === undefined) {
      if (source[at + 1] === "?") throw new Error(`the group ${source.slice(at, at + 4)} is not supported`);
      at++;
    } else if (head[4] !== undefined) return undefined;
    const flags = head?.[2] ?? "";
    const item = choice(ignoreCase || flags.split("-")[0]!.includes("i"));
    if (source[at++] !== ")") throw new Error("a group is not closed");
    return head?.[1] === undefined ? item : { kind: "look", item, isNegativeAhead: head[1] === "!" };
  };

  const characterClass = (): string => {
    const start = at;
    let open = 0;
    do {
      if (at >= source.length) throw new Error("a character class is not closed");
      if (source[at] === "\\") at++;
      else if (source[at] === "[") {
        open++;
        if (source[at + 1] === "^") at++;
        if (source[at + 1] === "]") at++;
      } else if (source[at] === "]") open--;
      at++;
    } while (open > 0);
    return source.slice(start, at);
  };

  const pattern = choice(false);
  if (at < source.length) throw new Error("a group is closed that was not opened");
  return pattern;
}

function range([, sign, least, comma, most]: RegExpExecArray): { min: number; max: number } {
  if (sign !== undefined) return { min: sign === "+" ? 1 : 0, max: sign === "?" ? 1 : Infinity };
  const min = Number(least || 0);
  return { min, max: comma === "" ? min : most === "" ? Infinity : Number(most) };
}
