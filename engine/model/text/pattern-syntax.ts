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

/** Parses a pattern. @throws {Error} where it is not of the documented syntax */
export function parsePattern(source: string): PatternNode {
  return new Parser(source).parse();
}

/** A recursive descent through one pattern. */
class Parser {
  readonly #source: string;
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): PatternNode {
    const pattern = this.#choice(false);
    if (this.#at < this.#source.length) throw new Error("a group is closed that was not opened");
    return pattern;
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#source);
    if (match !== null) this.#at = pattern.lastIndex;
    return match ?? undefined;
  }

  #choice(ignoreCase: boolean): PatternNode {
    if (++this.#depth > DEEPEST) throw new Error("groups are nested too deeply");
    const options = [this.#sequence(ignoreCase)];
    while (this.#source[this.#at] === "|") {
      this.#at++;
      options.push(this.#sequence(ignoreCase));
    }
    this.#depth--;
    return options.length === 1 ? options[0]! : { kind: "choice", options };
  }

  #sequence(ignoreCase: boolean): PatternNode {
    const items: PatternNode[] = [];
    while (this.#at < this.#source.length && this.#source[this.#at] !== "|" && this.#source[this.#at] !== ")") {
      const item = this.#atom(ignoreCase);
      const quantifier = item === undefined ? undefined : this.#take(QUANTIFIER);
      if (item !== undefined) items.push(quantifier === undefined ? item : { kind: "repeat", item, ...range(quantifier) });
    }
    return items.length === 1 ? items[0]! : { kind: "sequence", items };
  }

  /** @returns undefined for flags that stand alone */
  #atom(ignoreCase: boolean): PatternNode | undefined {
    const set = (text: string): PatternNode => ({ kind: "set", source: text, ignoreCase });
    const character = String.fromCodePoint(this.#source.codePointAt(this.#at)!);
    if (character === "(") return this.#group(ignoreCase);
    if (character === "[") return set(this.#characterClass());
    if (character === "\\") {
      const escape = this.#take(ESCAPE)?.[0];
      if (escape === undefined) throw new Error("it ends with a backslash");
      if (/^\\[1-9k]/.test(escape)) throw new Error("back-references are not supported");
      return EDGES.has(escape) ? { kind: "edge" } : set(escape);
    }
    this.#at += character.length;
    if (character === "^" || character === "$") return { kind: "edge" };
    return set(character === "." ? "[^\\n]" : character);
  }

  #group(ignoreCase: boolean): PatternNode | undefined {
    const head = this.#take(GROUP);
    if (head === undefined) {
      if (this.#source[this.#at + 1] === "?") throw new Error(`the group ${this.#source.slice(this.#at, this.#at + 4)} is not supported`);
      this.#at++;
    } else if (head[4] !== undefined) return undefined;
    const flags = head?.[2] ?? "";
    const item = this.#choice(ignoreCase || flags.split("-")[0]!.includes("i"));
    if (this.#source[this.#at++] !== ")") throw new Error("a group is not closed");
    return head?.[1] === undefined ? item : { kind: "look", item, isNegativeAhead: head[1] === "!" };
  }

  #characterClass(): string {
    const start = this.#at;
    let open = 0;
    do {
      if (this.#at >= this.#source.length) throw new Error("a character class is not closed");
      if (this.#source[this.#at] === "\\") this.#at++;
      else if (this.#source[this.#at] === "[") {
        open++;
        if (this.#source[this.#at + 1] === "^") this.#at++;
        if (this.#source[this.#at + 1] === "]") this.#at++;
      } else if (this.#source[this.#at] === "]") open--;
      this.#at++;
    } while (open > 0);
    return this.#source.slice(start, this.#at);
  }
}

function range([, sign, least, comma, most]: RegExpExecArray): { min: number; max: number } {
  if (sign !== undefined) return { min: sign === "+" ? 1 : 0, max: sign === "?" ? 1 : Infinity };
  const min = Number(least || 0);
  return { min, max: comma === "" ? min : most === "" ? Infinity : Number(most) };
}
