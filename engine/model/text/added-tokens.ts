/**
 * Finds added tokens in a text by the rules of Hugging Face's tokenizers (leftmost, longest, lstrip, rstrip,
 * single_word), with one rule more: a control token is recognised only where no caller wrote any of it. Not here: what
 * lies between added tokens (vocabulary.ts).
 */
import type { RevealedText } from "./guarded-text.ts";

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Whether it is taken only where no word goes on before or after it. */
  readonly singleWord: boolean;
  /** Takes the white space before it, or after it, along. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Whether it is sought in normalised text. A control token never is: normalisation would lose who wrote what. */
  readonly isNormalized: boolean;
  /** Steers the model; left out when tokens become text. */
  readonly isControl: boolean;
}

/** A stretch of text between added tokens, or one of them. `start` in UTF-16 units. */
export type Piece = { readonly start: number } & ({ readonly text: string } | { readonly id: number });

/** Finds tokens in a text. */
export type Splitter = (text: RevealedText) => Piece[];

const SPACE = /\p{White_Space}/u;
const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]/u;

export function splitter(tokens: readonly AddedToken[]): Splitter {
  const control = finder(tokens.filter((token) => token.isControl));
  const plain = finder(tokens.filter((token) => !token.isControl));
  return ({ text, own }) => {
    const pieces: Piece[] = [];
    let done = 0;
    let [ofModel, ofAnyone] = [control(own, 0), plain(text, 0)];
    for (let match = first(ofModel, ofAnyone); match !== undefined; match = first(ofModel, ofAnyone)) {
      const { token } = match;
      const next = match.start + token.content.length;
      if (!token.singleWord || !isInsideWord(text, match.start, next)) {
        const start = token.lstrip ? spaceBefore(text, match.start, done) : match.start;
        if (start > done) pieces.push({ start: done, text: text.slice(done, start) });
        pieces.push({ start, id: token.id });
        // a token of white space is found even where rstrip has taken it, as in the reference
        done = token.rstrip ? spaceAfter(text, next) : next;
      }
      if (ofModel !== undefined && ofModel.start < next) ofModel = control(own, next);
      if (ofAnyone !== undefined && ofAnyone.start < next) ofAnyone = plain(text, next);
    }
    if (done < text.length) pieces.push({ start: done, text: text.slice(done) });
    return pieces;
  };
}

interface Match {
  readonly start: number;
  readonly token: AddedToken;
}

/** The leftmost and there longest of some tokens, from a place on. */
function finder(tokens: readonly AddedToken[]): (text: string, from: number) => Match | undefined {
  const byContent = new Map(tokens.filter(({ content }) => content !== "").map((token) => [token.content, token]));
  if (byContent.size === 0) return () => undefined;
  const longestFirst = [...byContent.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map((content) => content.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|"), "g");
  return (text, from) => {
    pattern.lastIndex = from;
    const match = pattern.exec(text);
    return match === null ? undefined : { start: match.index, token: byContent.get(match[0])! };
  };
}

function first(a: Match | undefined, b: Match | undefined): Match | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.start !== b.start) return a.start < b.start ? a : b;
  return a.token.content.length >= b.token.content.length ? a : b;
}

/** Where the white space before a place begins, no earlier than `least`. */
function spaceBefore(text: string, end: number, least: number): number {
  let at = end;
  while (at > least && SPACE.test(text[at - 1]!)) at--;
  return at;
}

/** Where the white space after a place ends. */
function spaceAfter(text: string, start: number): number {
  let at = start;
  while (at < text.length && SPACE.test(text[at]!)) at++;
  return at;
}

function isInsideWord(text: string, start: number, end: number): boolean {
  return (
    WORD.test(lastCharacter(text.slice(Math.max(0, start - 2), start))) || WORD.test(text.slice(end, end + 2).match(/^./su)?.[0] ?? "")
  );
}

function lastCharacter(text: string): string {
  return [...text].at(-1) ?? "";
}
