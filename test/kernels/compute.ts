/**
 * Small ways to drive a backend in tests: logits after some iterations, all tokens of a generation.
 */
import type { Backend, LatentState } from "../../engine/port/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import type { GeneratedToken } from "../../engine/decode/generate.ts";

export const PROMPT: readonly number[] = [3, 17, 5, 60, 0, 5, 22, 41, 8, 12];

/** Logits of every position of PROMPT, in calls of the given sizes, each with its own number of iterations. */
export async function promptLogits(
  backend: Backend,
  sizes: readonly number[],
  iterations: readonly number[],
  cache: string,
): Promise<Float32Array[]> {
  const options = { capacity: PROMPT.length, maxIterations: Math.max(...iterations), cache: parseCacheStrategy(cache) };
  const sequence = backend.openSequence(options);
  const logits: Float32Array[] = [];
  for (const [i, size] of sizes.entries()) {
    const start = sequence.length;
    const tokens = PROMPT.slice(start, start + size);
    const { width, recurrence } = backend.config;
    const stateAt = (position: number): LatentState | undefined =>
      recurrence.injection === "none" || position % 3 === 1 ? undefined : startState(width, position); // the model's own where none is given
    const rows = await backend.prelude(tokens.map((token, k) => ({ sequence, token, state: stateAt(start + k) })));
    for (let t = 0; t < iterations[i]!; t++) await backend.iterate(rows);
    logits.push(...(await backend.readout(rows, rows)));
    backend.release(rows);
  }
  backend.closeSequence(sequence);
  return logits;
}

/** Some initial state, different at every position. */
export function startState(width: number, position: number): LatentState {
  return Float32Array.from({ length: width }, (_, i) => Math.sin(1 + i * 0.7 + position * 1.3));
}

export async function collect(tokens: AsyncIterable<GeneratedToken>): Promise<GeneratedToken[]> {
  const all: GeneratedToken[] = [];
  for await (const token of tokens) all.push(token);
  return all;
}
