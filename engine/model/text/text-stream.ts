/**
 * Tokens to text, piece by piece. Not here: what a token's text is (tokenizer.ts).
 */

interface Decoder {
  /** Text of tokens. */
  decode(tokens: readonly number[]): string;
}

/** What a decoder writes where the bytes of a character are not complete. */
const REPLACEMENT = "\uFFFD";

/**
 * Turns tokens into text piece by piece; a character split over tokens comes whole, with its last token. Each step
 * decodes only the tokens since the last whole piece and that piece itself, which some decoders need for context.
 */
export class TextStream {
  readonly #codec: Decoder;
  readonly #tokens: number[] = [];
  #contextStart = 0;
  #emittedTo = 0;

  constructor(codec: Decoder) {
    this.#codec = codec;
  }

  /** The text that this token completes; may be empty. */
  push(token: number): string {
    this.#tokens.push(token);
    return this.#take(false);
  }

  /** What is left at the end, broken characters included. */
  flush(): string {
    return this.#take(true);
  }

  #take(evenBroken: boolean): string {
    if (this.#emittedTo === this.#tokens.length) return "";
    const before = this.#codec.decode(this.#tokens.slice(this.#contextStart, this.#emittedTo));
    const text = this.#codec.decode(this.#tokens.slice(this.#contextStart));
    if (text.endsWith(REPLACEMENT) && !evenBroken) return "";
    // a byte that spoils its run would rewrite characters already sent: then the new tokens speak for themselves
    const added = text.startsWith(before) ? text.slice(before.length) : this.#codec.decode(this.#tokens.slice(this.#emittedTo));
    if (added === "") return "";
    this.#contextStart = this.#emittedTo;
    this.#emittedTo = this.#tokens.length;
    return added;
  }
}
