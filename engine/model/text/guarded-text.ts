/**
 * Text of a caller, marked so that it stays recognisable inside what a chat template makes of it: each UTF-16 unit u
 * becomes the private-use character U+F0000 + u. Such characters survive concatenation, loops and macros, and no
 * control token is written with them. Not here: which operations of a template may look at the text behind them
 * (template-interpreter.ts), and what becomes a control token (added-tokens.ts).
 */

/** Plane 15 holds one private-use character for each UTF-16 unit: a surrogate pair, ten bits of the unit in its second half. */
const HIGH = 0xdb80;
const LOW = 0xdc00;
const MARK = /[\uDB80-\uDBBF]/;

/** Stands in `RevealedText.own` for a unit of the caller's; it is no character, so no token contains it. */
const FOREIGN = 0xffff;

export interface RevealedText {
  /** The text as it is meant. */
  readonly text: string;
  /** The text unit by unit, with U+FFFF wherever the caller wrote. */
  readonly own: string;
}

/** Marks a caller's text. */
export function guard(text: string): string {
  const units = new Uint16Array(2 * text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    units[2 * i] = HIGH + (unit >> 10);
    units[2 * i + 1] = LOW + (unit & 0x3ff);
  }
  return textOf(units);
}

/** Whether any of a text was written by a caller. */
export function isGuarded(text: string): boolean {
  return MARK.test(text);
}

/** The text behind the marks. */
export function reveal(text: string): string {
  return isGuarded(text) ? revealApart(text).text : text;
}

/** The character behind a single one: `reveal` without its arrays, for loops over long texts. */
export function revealCharacter(character: string): string {
  const unit = character.charCodeAt(0);
  const isMark = character.length === 2 && (unit & 0xffc0) === HIGH;
  return isMark ? String.fromCharCode(((unit & 0x3f) << 10) | (character.charCodeAt(1) & 0x3ff)) : character;
}

/** The text behind the marks, and which of it was not marked. */
export function revealApart(text: string): RevealedText {
  if (!isGuarded(text)) return { text, own: text };
  const meant = new Uint16Array(text.length);
  const own = new Uint16Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    const isMark = (unit & 0xffc0) === HIGH && (text.charCodeAt(i + 1) & 0xfc00) === LOW;
    meant[length] = isMark ? ((unit & 0x3f) << 10) | (text.charCodeAt(i + 1) & 0x3ff) : unit;
    own[length++] = isMark ? FOREIGN : unit;
    if (isMark) i++;
  }
  return { text: textOf(meant.subarray(0, length)), own: textOf(own.subarray(0, length)) };
}

/** A text that is a caller's as a whole. */
export function foreignText(text: string): RevealedText {
  return { text, own: String.fromCharCode(FOREIGN).repeat(text.length) };
}

/** Units one by one, as TextDecoder would repair unpaired surrogates; in parts, as arguments are limited. */
function textOf(units: Uint16Array): string {
  let text = "";
  for (let at = 0; at < units.length; at += 8192) text += String.fromCharCode(...units.subarray(at, at + 8192));
  return text;
}
