/**
 * One measured run of a model: prompt in, tokens out. Runs on any host that has a clock which moves: Node, and workerd
 * on a developer's machine (in production the clock stands still while code runs).
 */
import type { Row } from "../engine/port/backend.ts";
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import type { WasmBackend } from "../wasm/backend.ts";
import { benchPrompt, NEW_TOKENS, PROMPT_TOKENS } from "./model.ts";

export interface DecodeRun {
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
}

/** Of so many repetitions the fastest counts: one that another process interrupts measures that process. */
const REPETITIONS = 3;

/** Greedy from a zero state with a fixed number of iterations, every iteration with its own cache. */
export function decodeRun(backend: WasmBackend, iterations: number): DecodeRun {
  const cache = parseCacheStrategy("full");
  const prompt = benchPrompt();
  const prefillMs: number[] = [];
  const decodeMs: number[] = [];
  for (let n = 0; n < REPETITIONS; n++) {
    const sequence = backend.openSequence({ capacity: PROMPT_TOKENS + NEW_TOKENS, maxIterations: iterations, cache });
    const step = (tokens: readonly number[]): number => {
      const rows: Row[] = backend.prelude(tokens.map((token) => ({ sequence, token })));
      for (let t = 0; t < iterations; t++) backend.iterate(rows);
      const [token] = backend.argmax(rows, rows.slice(-1));
      backend.release(rows);
      return token!;
    };
    const start = performance.now();
    let token = step(prompt);
    const first = performance.now();
    for (let i = 1; i < NEW_TOKENS; i++) token = step([token]);
    decodeMs.push(performance.now() - first);
    prefillMs.push(first - start);
    backend.closeSequence(sequence);
  }
  return tokensPerSecond(Math.min(...prefillMs), Math.min(...decodeMs));
}

/** The first new token comes with the prompt; the others are decoded. */
export function tokensPerSecond(prefillMs: number, decodeMs: number): DecodeRun {
  return { prefillTokensPerSecond: (1000 * PROMPT_TOKENS) / prefillMs, decodeTokensPerSecond: (1000 * (NEW_TOKENS - 1)) / decodeMs };
}
