/**
 * Which characters the sets of a tokenizer's pattern hold: by samples, which is fast, and by every character there is,
 * where a wrong answer would let a pattern run forever. Not here: what follows from it (pattern-cost.ts).
 */
import type { CharacterSet } from "./pattern-syntax.ts";

/** One character or more of each general category and of scripts and kinds that patterns tell apart. */
const SAMPLES = [
  ...Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)),
  ..."ßǅʰאあア中가αДдаяЁё\u0301\u0903\u20dd٣५ⅧⅫ½①²_‿⁀—⸗«»‘’„「」†‰€￥＋×≤˄˅゛☃✓🙂\u00a0\u2003\u3000\u2028\u2029\u200b\u200d\ufeff\u00ad\ue000\u{f0000}\u0378\u{20000}！～０Ａａ１",
];

const PLANE = 1 << 16;
const LAST_PLANE = 16;
/** Those that have characters; the others are asked about where a pattern names one of theirs. */
const ASSIGNED_PLANES = [0, 1, 2, 3, 14];
const SURROGATES = { from: 0xd800, to: 0xdfff } as const;

interface Plane {
  readonly plane: number;
  /** All characters of the plane. */
  readonly text: string;
}

/** First and last character, both included. */
type Range = readonly [number, number];

/** What \d and \w mean in the patterns' own dialect, Oniguruma's; JavaScript's are ASCII. */
const WIDER: Readonly<Record<string, string>> = {
  "\\d": "\\p{Nd}",
  "\\D": "\\P{Nd}",
  "\\w": "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}",
};

export class Sets {
  readonly #samples: readonly string[];
  readonly #tests = new Map<string, (character: string) => boolean>();
  readonly #ranges = new Map<string, readonly Range[] | undefined>();
  readonly #pattern: string;
  #planes: readonly Plane[] | undefined;

  /** @param pattern whose characters are samples, too */
  constructor(pattern: string) {
    this.#samples = [...new Set([...SAMPLES, ...pattern])];
    this.#pattern = pattern;
  }

  /** Whether two sets share a sample. */
  overlap(a: CharacterSet, b: CharacterSet): boolean {
    return this.#samples.some((character) => this.#has(a, character) && this.#has(b, character));
  }

  /** Whether two sets share no character at all; false where one of them cannot be read. */
  areApart(a: CharacterSet, b: CharacterSet): boolean {
    if (this.overlap(a, b)) return false;
    const [left, right] = [this.#rangesOf(a), this.#rangesOf(b)];
    return left !== undefined && right !== undefined && shared(left, right).length === 0;
  }

  includes(whole: CharacterSet, part: CharacterSet): boolean {
    return this.#samples.every((character) => !this.#has(part, character) || this.#has(whole, character));
  }

  /** Lengths of the stretches of a text that these sets make up. */
  *runs(text: string, sets: readonly CharacterSet[]): Generator<number> {
    const known = new Map<string, boolean>();
    let run = 0;
    for (const character of text) {
      let isIn = known.get(character);
      if (isIn === undefined) known.set(character, (isIn = sets.some((set) => this.#has(set, character))));
      if (isIn) run++;
      else if (run > 0) {
        yield run;
        run = 0;
      }
    }
    yield run;
  }

  #has(set: CharacterSet, character: string): boolean {
    const key = keyOf(set);
    let test = this.#tests.get(key);
    if (test === undefined) this.#tests.set(key, (test = testOf(set)));
    return test(character);
  }

  #rangesOf(set: CharacterSet): readonly Range[] | undefined {
    const key = keyOf(set);
    this.#planes ??= planesOf(this.#pattern).map((plane) => ({ plane, text: planeText(plane) })); // 10 ms, which few patterns need
    if (!this.#ranges.has(key)) this.#ranges.set(key, rangesOf(set, this.#planes));
    return this.#ranges.get(key);
  }
}

function keyOf({ source, ignoreCase }: CharacterSet): string {
  return `${ignoreCase}${source}`;
}

/** A set that JavaScript does not read holds all. */
function testOf({ source, ignoreCase }: CharacterSet): (character: string) => boolean {
  const patterns = partsOf(source)
    .map((part) => compiled(part, ignoreCase))
    .filter((pattern) => pattern !== undefined)
    .map(alone);
  return (character) => patterns.every((pattern) => pattern.test(character));
}

function alone({ source, flags }: RegExp): RegExp {
  return new RegExp(`^(?:${source})$`, flags);
}

/** Everything that a set holds by either meaning of \d and \w, in order; undefined where it cannot be read. */
function rangesOf({ source, ignoreCase }: CharacterSet, planes: readonly Plane[]): readonly Range[] | undefined {
  let ranges: readonly Range[] = [[0, LAST_PLANE * PLANE + PLANE - 1]];
  for (const part of partsOf(source)) {
    const wide = part.replaceAll(/\\[dDw]/g, (escape) => (part.startsWith("[") ? WIDER[escape]! : `[${WIDER[escape]!}]`));
    const readings = [compiled(part, ignoreCase), compiled(wide, ignoreCase)].filter((pattern) => pattern !== undefined);
    if (readings.length < 2) return undefined;
    const found = readings.flatMap((pattern) => [...planes.flatMap((plane) => rangesIn(plane, pattern)), ...surrogatesOf(pattern)]);
    ranges = shared(ranges, merged(found));
  }
  return ranges;
}

/** Ranges that a pattern matches, found by runs: much faster than character by character. */
function rangesIn({ plane, text }: Plane, pattern: RegExp): Range[] {
  const unitsEach = plane === 0 ? 1 : 2;
  const codeAt = (unit: number): number => {
    const place = unit / unitsEach;
    return plane * PLANE + place + (plane === 0 && place >= SURROGATES.from ? SURROGATES.to - SURROGATES.from + 1 : 0);
  };
  const runs = text.matchAll(new RegExp(`(?:${pattern.source})+`, `${pattern.flags}g`));
  return Array.from(runs, ({ 0: run, index }): Range => [codeAt(index), codeAt(index + run.length - unitsEach)]).flatMap(([from, to]) =>
    from < SURROGATES.from && to > SURROGATES.to
      ? [
          [from, SURROGATES.from - 1],
          [SURROGATES.to + 1, to],
        ]
      : [[from, to]],
  );
}

function surrogatesOf(pattern: RegExp): Range[] {
  const single = alone(pattern);
  const codes = Array.from({ length: SURROGATES.to - SURROGATES.from + 1 }, (_, i) => SURROGATES.from + i);
  return codes.filter((code) => single.test(String.fromCharCode(code))).map((code) => [code, code]);
}

/** Every character of a plane, in order; surrogates left out, as two of them make another character. */
function planeText(plane: number): string {
  const first = plane * PLANE;
  if (plane !== 0) return charactersFrom(first, first + PLANE);
  return charactersFrom(first, SURROGATES.from) + charactersFrom(SURROGATES.to + 1, PLANE);
}

function charactersFrom(from: number, end: number): string {
  let text = "";
  for (let code = from; code < end; code++) text += String.fromCodePoint(code);
  return text;
}

/** The planes with characters, those of characters that the pattern names, and their neighbours, which "not in" begins in. */
function planesOf(pattern: string): number[] {
  const named = [...pattern.matchAll(/\\[ux]\{([0-9a-f]+)\}/gi)].map(([, digits]) => parseInt(digits!, 16));
  const codes = [...named, ...Array.from(pattern, (character) => character.codePointAt(0)!)];
  const planes = codes.map((code) => Math.floor(code / PLANE)).filter((plane) => plane > 0);
  const around = planes.flatMap((plane) => [plane - 1, plane, plane + 1]);
  return [...new Set([...ASSIGNED_PLANES, ...around])].filter((plane) => plane <= LAST_PLANE).sort((a, b) => a - b);
}

function merged(ranges: readonly Range[]): Range[] {
  const result: [number, number][] = [];
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

/** What two lists of ranges in order have in common. */
function shared(a: readonly Range[], b: readonly Range[]): Range[] {
  const result: Range[] = [];
  for (let [i, j] = [0, 0]; i < a.length && j < b.length;) {
    const [from, to] = [Math.max(a[i]![0], b[j]![0]), Math.min(a[i]![1], b[j]![1])];
    if (from <= to) result.push([from, to]);
    if (a[i]![1] < b[j]![1]) i++;
    else j++;
  }
  return result;
}

/** `[a-z&&[^m]]`, which JavaScript does not read, as `[a-z]` and `[^m]`; any other set as it is. */
function partsOf(source: string): string[] {
  if (!source.startsWith("[") || source.startsWith("[^") || !source.includes("&&")) return [source];
  return source
    .slice(1, -1)
    .split("&&")
    .map((part) => (/^\[[^[\]]*\]$/.test(part) ? part : `[${part}]`));
}

/** One character as a regular expression; scripts may be named alone, as in Oniguruma. */
function compiled(source: string, ignoreCase: boolean): RegExp | undefined {
  const flags = ignoreCase ? "iu" : "u";
  const literal = source.startsWith("[") || source.startsWith("\\") ? source : source.replace(/[\^$.*+?()[\]{}|/]/u, "\\$&");
  for (const text of [literal, literal.replaceAll(/\\([pP])\{([A-Z][a-z_A-Z]+)\}/g, "\\$1{Script=$2}")])
    try {
      return new RegExp(text, flags);
    } catch {
      // the next reading, or none
    }
  return undefined;
}
