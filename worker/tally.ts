/**
 * What the completions of a request have come to while they are made: tokens, how many go on, how they ended.
 */
import type { ChoicePiece, FinishReason } from "../engine/decode/answer.ts";
import type { GeneratedToken } from "../engine/decode/generate.ts";

export class Tally {
  readonly tokens: GeneratedToken[] = [];
  /** Completions that go on. */
  left: number;
  finish: FinishReason = "stop";
  /** Tokens of the longest completion that was cut. */
  longest = 0;
  readonly #lengths: number[];

  constructor(choices: number) {
    this.left = choices;
    this.#lengths = Array.from({ length: choices }, () => 0);
  }

  add({ choice, token, finish }: ChoicePiece): void {
    if (token !== undefined) {
      this.tokens.push(token);
      this.#lengths[choice]!++;
    }
    if (finish === undefined) return;
    this.left--;
    if (finish === "stop") return;
    this.finish = finish;
    this.longest = Math.max(this.longest, this.#lengths[choice]!);
  }
}
