/**
 * Text of a caller, marked so that it stays recognisable inside what a chat template makes of it: each UTF-16 unit u
 * becomes the private-use character U+F0000 + u. Such characters survive concatenation, loops and macros, and no
 * control token is written with them. Not here: which operations of a template may look at the text behind them
 * (template-interpreter.ts), and what becomes a control token (added-tokens.ts).
 */

/** Plane 15 holds one private-use character for each UTF-16 unit. */
const FIRST = 0xf0000;
const LAST = 0xfffff;
const STAND_INS = /[\u{F0000}-\u{FFFFF}]/gu;
/** High surrogates of plane 15: cheaper to look for than whole characters. */
const MARK = /[\uDB80-\uDBBF]/;

/** Stands in `RevealedText.own` for a unit of the caller's; it is no character, so no token contains it. */
const FOREIGN = "\uFFFF";

export interface RevealedText {
  /** The text as it is meant. */
  readonly text: string;
  /** The same, unit by unit, with U+FFFF wherever the caller wrote. */
  readonly own: string;
}

/** Marks a caller's text. */
export function guard(text: string): string {
  let marked = "";
  for (let i = 0; i < text.length; i++) marked += String.fromCodePoint(FIRST + text.charCodeAt(i));
  return marked;
}

/** Whether any of a text was written by a caller. */
export function isGuarded(text: string): boolean {
  return MARK.test(text);
}

/** The text behind the marks. */
export function reveal(text: string): string {
  return isGuarded(text) ? text.replace(STAND_INS, revealCharacter) : text;
}

/** The text behind the marks, and which of it was not marked. */
export function revealApart(text: string): RevealedText {
  return { text: reveal(text), own: isGuarded(text) ? text.replace(STAND_INS, FOREIGN) : text };
}

/** The unit behind one character, or the character itself. */
export function revealCharacter(character: string): string {
  const code = character.codePointAt(0)!;
  return code >= FIRST && code <= LAST ? String.fromCharCode(code - FIRST) : character;
}
