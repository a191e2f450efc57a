/**
 * Whether the regular expressions of a tokenizer.json end in reasonable time. Patterns whose time can grow
 * exponentially are refused at load; where it can grow with a power of a run of characters, the runs of each text are
 * looked at first; the published patterns (GPT-2, Llama 3, Qwen, o200k) take linear time. Conservative: what is not
 * understood counts as slow. Not here: syntax (pattern-syntax.ts), sets of characters (pattern-sets.ts).
 */
import { repeatsAlongOnePath } from "./pattern-paths.ts";
import { Sets } from "./pattern-sets.ts";
import { parsePattern, type CharacterSet, type PatternNode } from "./pattern-syntax.ts";

/** Steps of the regular expression machine that one text may take: about half a second. */
const MOST_STEPS = 2e8;
const LONGEST_PATTERN = 20_000;
/** The published patterns have 15 at most. */
const MOST_WAYS = 256;
/** Repeats up to this many times count as single characters. */
const SHORT = 4;

export interface PatternCost {
  /** Throws where a text has runs that would take too long. @throws {Error} naming the run */
  check(text: string): void;
}

/** @throws {Error} saying what makes the pattern slow */
export function costOf(source: string): PatternCost {
  if (source.length > LONGEST_PATTERN) throw new Error(`a pattern has more than ${LONGEST_PATTERN} characters`);
  const pattern = parsePattern(source);
  const sets = new Sets(source);
  refuseExponential(pattern, sets);
  const options = optionsOf(pattern);
  const ways = options.map((option) => countWays(option, sets));
  if (Math.max(...ways) > MOST_WAYS)
    throw new Error("a pattern has too many optional parts in a row; its time grows exponentially with them");
  const slow = options
    .map((option, i) => ({ option, ways: ways[i]!, after: options.slice(i + 1) }))
    .filter(({ option, after }) => !isLinear(option, after, sets))
    .map(({ option, ways: factor }) => ({ sets: setsOf(option), factor, exponent: 1 + countLong(option) }));
  return {
    check(text) {
      for (const { sets: within, factor, exponent } of slow) {
        let steps = 0;
        for (const run of sets.runs(text, within)) steps += factor * run ** exponent;
        if (steps > MOST_STEPS)
          throw new Error(`it holds runs of characters that its pattern takes too long to split (${source.slice(0, 60)})`);
      }
    },
  };
}

/** A repeat is refused whose items can match one text in two ways. */
function refuseExponential(node: PatternNode, sets: Sets): void {
  if (node.kind === "repeat" && node.max > 1 && !isDefinite(node.item, sets) && !repeatsAlongOnePath(node.item, sets))
    throw new Error("a pattern repeats something that can match one text in several ways; its time can grow exponentially");
  for (const child of childrenOf(node)) refuseExponential(child, sets);
}

/** Whether a text begins with this in one way at most. */
function isDefinite(node: PatternNode, sets: Sets): boolean {
  if (node.kind === "set") return true;
  if (node.kind === "sequence") return node.items.length > 0 && node.items.every((item) => isDefinite(item, sets));
  if (node.kind === "repeat") return node.min === node.max && node.min > 0 && isDefinite(node.item, sets);
  if (node.kind !== "choice") return false;
  const firsts = node.options.map(firstOf);
  return (
    node.options.every((option) => isDefinite(option, sets)) &&
    firsts.every((a, i) => firsts.slice(i + 1).every((b) => a !== undefined && b !== undefined && sets.areApart(a, b)))
  );
}

/** The set of a definite node's first character, where it is a single set. */
function firstOf(node: PatternNode): CharacterSet | undefined {
  if (node.kind === "set") return node;
  if (node.kind === "sequence") return node.items[0] && firstOf(node.items[0]);
  return node.kind === "repeat" ? firstOf(node.item) : undefined;
}

/** Whether an alternative, tried at every place of a text, takes time in proportion to the text. */
function isLinear(option: PatternNode, after: readonly PatternNode[], sets: Sets): boolean {
  const items = itemsOf(option);
  const first = items.findIndex((item) => countLong(item) > 0);
  if (first < 0) return true;
  const [long, next] = [items[first]!, items[first + 1]];
  if (long.kind !== "repeat" || long.item.kind !== "set" || !items.slice(0, first).every(isShort)) return false;
  // nothing that follows can fail: the repeat never gives a character back
  if (items.slice(first + 1).every(isOptional)) return true;
  // X+(?!Y) with X and Y apart: giving back one character is enough
  if (next?.kind === "look")
    return next.isNegativeAhead && next.item.kind === "set" && items.length === first + 2 && !sets.overlap(long.item, next.item);
  // X*Y+: where no Y follows, a later alternative takes all the X
  const takesRest = next?.kind === "repeat" && next.item.kind === "set" && next.min === 1 && items.slice(first + 2).every(isOptional);
  return takesRest && after.some((other) => takes(other, long.item as CharacterSet, sets));
}

/** Whether an alternative begins, after what may be missing, with a whole run of a set. */
function takes(option: PatternNode, set: CharacterSet, sets: Sets): boolean {
  const items = itemsOf(option);
  const first = items.findIndex((item) => !isOptional(item) || countLong(item) > 0);
  const item = items[first];
  return (
    item?.kind === "repeat" &&
    item.max === Infinity &&
    item.item.kind === "set" &&
    items.slice(first + 1).every(isOptional) &&
    sets.includes(item.item, set)
  );
}

function isShort(node: PatternNode): boolean {
  return node.kind !== "look" && countLong(node) === 0;
}

/** Whether a part can be left out, whatever follows, and gives up at once where it does not match. */
function isOptional(node: PatternNode): boolean {
  if (node.kind === "repeat") return node.min === 0 && (node.item.kind === "set" || countLong(node.item) === 0 || endsWithRun(node.item));
  if (node.kind === "sequence") return node.items.every(isOptional);
  return node.kind === "choice" && countLong(node) === 0 && node.options.some(isOptional);
}

/** Whether nothing in a part can fail after its only run of characters: `-\w+`. */
function endsWithRun(node: PatternNode): boolean {
  const items = itemsOf(node);
  const last = items.at(-1);
  return last?.kind === "repeat" && last.item.kind === "set" && last.min <= 1 && items.slice(0, -1).every(isShort);
}

/** The number of ways in which short parts can match one text at most: forty optional letters in a row make 2^40. */
function countWays(node: PatternNode, sets: Sets): number {
  if (node.kind === "choice") {
    const ways = node.options.map((option) => countWays(option, sets));
    return isDefinite(node, sets) ? Math.max(...ways) : ways.reduce((a, b) => a + b, 0);
  }
  const own = node.kind === "repeat" && node.max <= SHORT ? node.max - node.min + 1 : 1;
  return childrenOf(node).reduce((product, child) => product * countWays(child, sets), own);
}

/** Repeats whose length varies widely; those within a repeat, which has one path, give it no further places to stop. */
function countLong(node: PatternNode): number {
  const own = node.kind === "repeat" && node.max > SHORT && node.max !== node.min ? 1 : 0;
  const inner = childrenOf(node).reduce((sum, child) => sum + countLong(child), 0);
  return node.kind === "repeat" && node.max > 1 ? Math.min(1, own + inner) : own + inner;
}

function setsOf(node: PatternNode): CharacterSet[] {
  return node.kind === "set" ? [node] : childrenOf(node).flatMap(setsOf);
}

function childrenOf(node: PatternNode): readonly PatternNode[] {
  if (node.kind === "sequence") return node.items;
  if (node.kind === "choice") return node.options;
  return node.kind === "repeat" || node.kind === "look" ? [node.item] : [];
}

function itemsOf(node: PatternNode): readonly PatternNode[] {
  return node.kind === "sequence" ? node.items.flatMap(itemsOf) : [node];
}

function optionsOf(node: PatternNode): readonly PatternNode[] {
  return node.kind === "choice" ? node.options.flatMap(optionsOf) : [node];
}
