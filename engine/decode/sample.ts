/**
 * From logits to a token, in the reference's order: repetition penalty, then argmax, or temperature, softmax, top-k,
 * top-p, min-p, renormalise, draw. Everything after the penalty works on probabilities, as there.
 */
import { uniform } from "../random.ts";
import { argmax, probabilities } from "./exit.ts";

export interface Sampling {
  /** 0: greedy. [default 0] */
  readonly temperature?: number;
  /** Keep the k most likely; 0: all. [default 0] */
  readonly topK?: number;
  /** Drop tokens past this cumulative mass, always keep the first. [default 1] */
  readonly topP?: number;
  /** Drop tokens below this share of the most likely. [default 0] */
  readonly minP?: number;
  /** Above 1 discourages tokens seen before. [default 1] */
  readonly repetitionPenalty?: number;
  /** [default 0] */
  readonly seed?: number;
}

export const GREEDY: Sampling = {};

/** Random numbers of tokens and of initial states must not meet: states use streams 0, 1, ... (positions). */
const SAMPLING_STREAM = -1;

/**
 * Chooses a token.
 * @param seen  tokens so far, prompt included (for the penalty)
 * @param index of the token within the completion (for the random stream)
 */
export function sample(logits: Float32Array, sampling: Sampling, seen: readonly number[], index: number): number {
  const { temperature = 0, repetitionPenalty = 1 } = sampling;
  const penalised = repetitionPenalty === 1 ? logits : penalise(logits, seen, repetitionPenalty);
  if (temperature === 0) return argmax(penalised);
  const p = probabilities(penalised.map((v) => v / temperature));
  truncateTail(p, sampling);
  let sum = 0;
  for (const v of p) sum += v;
  let left = uniform(sampling.seed ?? 0, SAMPLING_STREAM, index) * sum;
  let last = 0;
  for (let i = 0; i < p.length; i++) {
    if (p[i] === 0) continue;
    last = i;
    left -= p[i]!;
    if (left < 0) break;
  }
  return last;
}

function penalise(logits: Float32Array, seen: readonly number[], penalty: number): Float32Array {
  const out = logits.slice();
  for (const token of new Set(seen)) out[token] = out[token]! > 0 ? out[token]! / penalty : out[token]! * penalty;
  return out;
}

/** Zeroes what top-k, top-p and min-p drop. */
function truncateTail(p: Float64Array, { topK = 0, topP = 1, minP = 0 }: Sampling): void {
  if (topK === 0 && topP >= 1 && minP === 0) return;
  const order = Array.from(p.keys()).sort((a, b) => p[b]! - p[a]! || a - b);
  const floor = minP * p[order[0]!]!;
  let total = 0;
  order.forEach((token, rank) => {
    total += p[token]!;
    const dropped = (topK > 0 && rank >= topK) || (rank > 0 && total > topP) || p[token]! < floor;
    if (dropped) p[token] = 0;
  });
}
