/**
 * The fewest tokens that a text can have, by its length and the vocabulary's longest token: what is far too long for a
 * context is refused before its tokens are made, which for a megabyte takes seconds. Not here: how many tokens it has.
 */
import type { Json } from "./special-tokens.ts";
import { stepsIn } from "./tokenizer-bounds.ts";

/** Pre-tokenizers after which all of a text is still there, spaces as some letter. */
const KEEPING = new Set(["ByteLevel", "Digits", "Metaspace", "Sequence", "Split"]);

/**
 * Characters (UTF-16 units) that one token of a text stands for at most, added tokens apart; Infinity where tokens may
 * stand for any number, or some letters for none.
 * @param json tokenizer.json, parsed
 */
export function longestTokenOf(json: Json): number {
  const { type, vocab, byte_fallback: byteFallback } = (json["model"] ?? {}) as Json;
  if (type !== "BPE" || typeof vocab !== "object" || vocab === null) return Infinity;
  const steps = stepsIn(json["pre_tokenizer"]);
  if (steps.some((step) => !KEEPING.has(step["type"] as string) || step["behavior"] === "Removed")) return Infinity;
  const isByteLevel = steps.some((step) => step["type"] === "ByteLevel");
  const bytes = isByteLevel ? BYTE_LETTERS : byteFallback === true ? BYTE_TOKENS : undefined;
  if (bytes?.every((token) => Object.hasOwn(vocab, token)) !== true) return Infinity; // unknown letters are left out, or one token
  let longest = 1;
  for (const token in vocab) longest = Math.max(longest, token.length);
  return longest;
}

const BYTES = Array.from({ length: 256 }, (_, byte) => byte);
const isPrintable = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
/** GPT-2's letters: bytes that print as themselves, the others from U+0100 on. */
const BYTE_LETTERS = BYTES.map((byte) =>
  String.fromCharCode(isPrintable(byte) ? byte : 256 + BYTES.filter((other) => other < byte && !isPrintable(other)).length),
);
const BYTE_TOKENS = BYTES.map((byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
