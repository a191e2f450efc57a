/**
 * One measured run of a model: prompt in, tokens out. Runs on any host that has a clock which moves: Node, and workerd
 * on a developer's machine (in production the clock stands still while code runs).
 */
import type { Backend } from "../engine/port/backend.ts";
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { generate, type GenerateOptions } from "../engine/decode/generate.ts";
import { NEVER_EXIT } from "../engine/exit-rule.ts";
import { benchPrompt, NEW_TOKENS, PROMPT_TOKENS } from "./model.ts";

export interface DecodeRun {
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
}

/** Repetitions of which the fastest counts: one that another process interrupts measures that process. */
const REPETITIONS = 3;

/** `generate`, greedy from a zero state with a fixed number of iterations, every iteration with its own cache. */
export async function decodeRun(backend: Backend, iterations: number): Promise<DecodeRun> {
  const options: GenerateOptions = {
    prompt: benchPrompt(),
    maxTokens: NEW_TOKENS,
    iterations,
    exit: NEVER_EXIT,
    cache: parseCacheStrategy("full"),
    stopTokens: new Set(),
  };
  const prefillMs: number[] = [];
  const decodeMs: number[] = [];
  for (let n = 0; n < REPETITIONS; n++) {
    const start = performance.now();
    let first: number | undefined;
    for await (const _ of generate(backend, options)) first ??= performance.now();
    decodeMs.push(performance.now() - first!);
    prefillMs.push(first! - start);
  }
  return tokensPerSecond(Math.min(...prefillMs), Math.min(...decodeMs));
}

/** The first new token comes with the prompt; the others are decoded. */
export function tokensPerSecond(prefillMs: number, decodeMs: number): DecodeRun {
  return { prefillTokensPerSecond: (1000 * PROMPT_TOKENS) / prefillMs, decodeTokensPerSecond: (1000 * (NEW_TOKENS - 1)) / decodeMs };
}
