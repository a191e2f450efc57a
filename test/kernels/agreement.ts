/**
 * The tokens that the GPU makes by itself for a prompt beside those of another backend, step by step. Where they part for
 * the first time, how close the other's two likeliest tokens were says why.
 */
import type { Backend } from "../../engine/port/backend.ts";
import { generate, type GeneratedToken, type GenerateOptions } from "../../engine/decode/generate.ts";

/**
 * Logits of two tokens that are closer than this are a tie, of a range of 27. Sums in another order put an activation on
 * the edge of two int8 values now here, now there; measured on the shipped model between two iterations, that moves
 * the gap between the two likeliest tokens by 0 mostly, and by 1.3 at most.
 */
export const TIE = 0.5;

export interface Agreement {
  /** Tokens that both have made up to the first difference. */
  readonly tokens: number;
  /** Of these, tokens that took both the same number of iterations. */
  readonly sameDepths: number;
  /** The first difference; undefined where there is none. */
  readonly parting: Parting | undefined;
}

export interface Parting {
  /** Index in the completion. */
  readonly index: number;
  readonly gpu: number;
  readonly other: number;
  /** Between the other's two likeliest logits at that token. */
  readonly gap: number;
  /** Whether the GPU took one of these two, and the gap is below TIE. */
  readonly isTie: boolean;
}

export type Made = Pick<GeneratedToken, "token" | "iterations">;

/** Compares tokens that the GPU has made with those of another backend, under the same options. */
export async function compareTokens(made: readonly Made[], other: Backend, options: GenerateOptions): Promise<Agreement> {
  let [tokens, sameDepths] = [0, 0];
  for await (const { token, index, iterations, logprobs } of generate(other, { ...options, logprobs: 2 })) {
    const own = made[index];
    if (own?.token !== token) {
      const [first, second] = logprobs!.top;
      const gap = first!.logprob - second!.logprob;
      const parting = { index, gpu: own?.token ?? -1, other: token, gap, isTie: own?.token === second!.token && gap < TIE };
      return { tokens, sameDepths, parting };
    }
    tokens++;
    if (own.iterations === iterations) sameDepths++;
  }
  return { tokens, sameDepths, parting: undefined };
}
