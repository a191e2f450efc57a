/**
 * Chooses a token by its logits, in the reference's order: repetition penalty, then argmax, or temperature, softmax, top-k,
 * top-p, min-p, renormalise, draw. Everything after the penalty works on probabilities, as there.
 */
import { FathomError } from "../errors.ts";
import { uniform } from "../random.ts";
import { argmax, probabilities } from "./exit.ts";
import { requireFinite } from "../finite.ts";

/** How a token is drawn from logits; the fields' defaults together are greedy. */
export interface Sampling {
  /** 0, or so small that a logit divided by it is not finite in f32: greedy. [default 0] */
  readonly temperature?: number;
  /** Keep the k most likely; 0: all. [default 0] */
  readonly topK?: number;
  /** Drop tokens past this cumulative mass, always keep the first. [default 1] */
  readonly topP?: number;
  /** Drop tokens below this share of the most likely. [default 0] */
  readonly minP?: number;
  /** Penalty on tokens seen before; above 1 discourages them. [default 1] */
  readonly repetitionPenalty?: number;
  /** [default 0] */
  readonly seed?: number;
}

export const GREEDY: Sampling = {};

/** Whether the token of the largest logit is chosen, whatever came before. */
export function isGreedy({ temperature = 0, repetitionPenalty = 1 }: Sampling): boolean {
  return temperature === 0 && repetitionPenalty === 1;
}

/** Random numbers of tokens and of initial states must not meet: states use streams 0, 1, ... (positions). */
const SAMPLING_STREAM = -1;

/**
 * Chooses a token.
 * @param seen  tokens so far, prompt included (for the penalty)
 * @param index of the token within the completion (for the random stream)
 * @throws {FathomError} not_finite, where the logits are not; invalid_request
 * @example
 * const token = sample(logits, { temperature: 0.7, topP: 0.9, seed: 1 }, prompt, 0);
 */
export function sample(logits: Float32Array, sampling: Sampling, seen: readonly number[], index: number): number {
  const { temperature = 0, repetitionPenalty = 1 } = sampling;
  requirePositive("temperature", temperature, temperature >= 0);
  requirePositive("repetitionPenalty", repetitionPenalty, repetitionPenalty > 0);
  requireFinite(logits);
  const penalised = repetitionPenalty === 1 ? logits : penalise(logits, seen, repetitionPenalty);
  const scaled = temperature === 0 ? undefined : penalised.map((v) => v / temperature);
  if (scaled === undefined || !scaled.every(Number.isFinite)) return argmax(penalised);
  const p = probabilities(scaled);
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

function requirePositive(name: keyof Sampling, value: number, isValid: boolean): void {
  if (!isValid) throw new FathomError("invalid_request", `${name} is ${value}; use a positive number.`, name);
}

const LARGEST_F32 = (2 - 2 ** -23) * 2 ** 127;

/** What would overflow stays the largest f32 there is, of its sign. */
function penalise(logits: Float32Array, seen: readonly number[], penalty: number): Float32Array {
  const out = logits.slice();
  for (const token of new Set(seen)) {
    const value = out[token]! > 0 ? out[token]! / penalty : out[token]! * penalty;
    out[token] = Math.max(-LARGEST_F32, Math.min(LARGEST_F32, value));
  }
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
