/**
 * A tokenizer.json is a program that came with a model: this bounds what its steps can cost. Steps that never end or
 * that make texts explode are refused at load; patterns by what pattern-cost.ts says. Not here: its form, which
 * @huggingface/tokenizers checks.
 */
import { FathomError } from "../../errors.ts";
import { costOf, type PatternCost } from "./pattern-cost.ts";
import { parsePattern, type PatternNode } from "./pattern-syntax.ts";
import type { Json } from "./special-tokens.ts";

/** Published tokenizers have up to 10 steps, which lengthen a text up to threefold. */
const MOST_STEPS = 100;
const MOST_GROWTH = 64;
/** WordPiece takes quadratic time in a word's letters; its default is 100. */
const LONGEST_WORD = 1000;

/** Checks a text before it is encoded. @throws {FathomError} invalid_request where it would take too long */
export type TextCheck = (text: string) => void;

/** @param json tokenizer.json, parsed @throws {Error} naming what goes beyond bounds */
export function boundTokenizer(json: Json): TextCheck {
  const costs = [...boundPart(json["normalizer"]), ...boundPart(json["pre_tokenizer"])];
  boundPart(json["decoder"]);
  const longest = (json["model"] as Json | undefined)?.["max_input_chars_per_word"] ?? 0;
  if (typeof longest !== "number" || longest > LONGEST_WORD) throw new Error(`max_input_chars_per_word is above ${LONGEST_WORD}`);
  return (text) => {
    try {
      for (const cost of costs) cost.check(text);
    } catch (error) {
      const message = `The text cannot be split into tokens: ${(error as Error).message}; shorten these runs.`;
      throw new FathomError("invalid_request", message, undefined, { cause: error });
    }
  };
}

function boundPart(part: unknown): PatternCost[] {
  const steps = stepsIn(part);
  if (steps.length > MOST_STEPS) throw new Error(`it has more than ${MOST_STEPS} steps`);
  const growth = steps.reduce((product, step) => product * growthOf(step), 1);
  if (growth > MOST_GROWTH) throw new Error(`its steps can make a text more than ${MOST_GROWTH} times as long`);
  for (const { type, length } of steps)
    if (type === "FixedLength" && !(Number.isInteger(length) && (length as number) > 0))
      throw new Error("FixedLength has no length of at least 1");
  return steps.flatMap(({ pattern }) => {
    const regex = (pattern as Json | null | undefined)?.["Regex"];
    return typeof regex === "string" ? [costOf(regex)] : [];
  });
}

/** The step itself, or all steps of a sequence, whatever its list is called. */
export function stepsIn(part: unknown): Json[] {
  if (typeof part !== "object" || part === null) return [];
  const lists = Object.values(part).filter(Array.isArray);
  return [part as Json, ...lists.flat().flatMap(stepsIn)];
}

/** How many characters one can become: what is put in its place, beside it where a pattern matches nothing. */
function growthOf(step: Json): number {
  const lengths = [step["content"], step["replacement"], step["str_rep"], step["prepend"], step["prefix"], step["suffix"]].map((text) =>
    typeof text === "string" ? text.length : 0,
  );
  const longest = Math.max(...lengths);
  const { String: literal, Regex: regex } = (step["pattern"] ?? {}) as Json;
  const matchesNothing = literal === "" || (typeof regex === "string" && canMatchNothing(parsePattern(regex)));
  return matchesNothing ? 1 + longest : Math.max(1, longest);
}

function canMatchNothing(node: PatternNode): boolean {
  if (node.kind === "sequence") return node.items.every(canMatchNothing);
  if (node.kind === "choice") return node.options.some(canMatchNothing);
  if (node.kind === "repeat") return node.min === 0 || canMatchNothing(node.item);
  return node.kind !== "set";
}
