/**
 * What is read off rows, computed on the host: for backends whose states, attention weights or logits lie there.
 */
import type { StateChange } from "./backend.ts";

/** The entries of whole logits that a readout asked for. @param tokens undefined = all */
export function logitsOf(logits: Float32Array, tokens: readonly number[] | undefined): Float32Array {
  return tokens === undefined ? logits : Float32Array.from(tokens, (token) => logits[token]!);
}

/** x * rsqrt(mean(x^2) + eps), rounded, then times the weight: what the model's norms do. */
export function normalised(x: Float32Array, weight: Float32Array, eps: number): Float32Array {
  let squares = 0;
  for (const v of x) squares += v * v;
  const factor = 1 / Math.sqrt(squares / x.length + eps);
  return x.map((v, i) => Math.fround(v * factor) * weight[i]!);
}

/** How far a state moved. @param now s_t, [width] @param before s at the last measure, [width] */
export function stateChange(now: Float32Array, before: Float32Array): StateChange {
  let [distance, norm, previousNorm, dot] = [0, 0, 0, 0];
  for (let i = 0; i < now.length; i++) {
    const [s, m] = [now[i]!, before[i]!];
    distance += (s - m) ** 2;
    norm += s * s;
    previousNorm += m * m;
    dot += s * m;
  }
  return { distance: Math.sqrt(distance), norm: Math.sqrt(norm), previousNorm: Math.sqrt(previousNorm), dot };
}

/**
 * What moved, weighted by what each row attended to, summed.
 * @param attention by row, [row.position + 1] each
 * @param moved     by position
 */
export function pressureOf(attention: readonly Float32Array[], moved: Float32Array): Float32Array {
  return Float32Array.from(attention, (weights) => weights.reduce((sum, weight, p) => sum + weight * moved[p]!, 0));
}
