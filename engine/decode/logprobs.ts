/**
 * Log-probabilities of a token and its likeliest alternatives, from the model's own logits: before penalties,
 * temperature and truncation.
 */
import { requireFinite } from "../finite.ts";

/** Log-probabilities at one token's place. */
export interface TokenLogprobs {
  /** Natural logarithm of the chosen token's probability. */
  readonly logprob: number;
  /** Likeliest first. */
  readonly top: readonly { readonly token: number; readonly logprob: number }[];
}

/** The log-probability of a token and those of the `count` likeliest. @throws {FathomError} not_finite */
export function tokenLogprobs(logits: Float32Array, token: number, count: number): TokenLogprobs {
  requireFinite(logits);
  let largest = -Infinity;
  for (const v of logits) largest = Math.max(largest, v);
  let sum = 0;
  for (const v of logits) sum += Math.exp(v - largest);
  const shift = largest + Math.log(sum);
  const order = count === 0 ? [] : Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
  return { logprob: logits[token]! - shift, top: order.slice(0, count).map((t) => ({ token: t, logprob: logits[t]! - shift })) };
}
