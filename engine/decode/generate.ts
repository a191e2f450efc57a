/**
 * The token loop: prefill the prompt in one call, then one row a token, each thinking as long as its limit and exit
 * rule allow. Yields every token with what it cost. Not here: text, stop strings, budgets, several requests at once.
 */
import type { Backend, LatentState } from "../backend.ts";
import type { CacheStrategy } from "../cache-strategy.ts";
import type { ExitRule } from "../exit-rule.ts";
import { zeroState, type InitialState } from "./initial-state.ts";
import { checkLengths } from "./lengths.ts";
import { GREEDY, sample, type Sampling } from "./sample.ts";
import { think } from "./think.ts";

/** What a new token's state starts from: s_0, or the state of the token before (continuous compute). */
export type WarmStart = "off" | "raw" | "normalised";

export interface GenerateOptions {
  /** Token ids, at least one. */
  readonly prompt: readonly number[];
  /** Most tokens to generate, at least one. */
  readonly maxTokens: number;
  /** Most core iterations of a token, by its index in the completion; the prompt's call is index 0. */
  readonly iterations: number | ((tokenIndex: number) => number);
  readonly exit: ExitRule;
  readonly cache: CacheStrategy;
  /** The completion ends with the first of these, which is yielded, too. */
  readonly stopTokens: ReadonlySet<number>;
  /** [default zeros] */
  readonly initialState?: InitialState;
  /** [default "off"] */
  readonly warmStart?: WarmStart;
  /** [default greedy] */
  readonly sampling?: Sampling;
  /** See ThinkOptions. [default "final"] */
  readonly lastReadout?: "final" | "checked";
  /** Awaited between tokens: where a host lets streams flow and other requests in. */
  readonly breathe?: () => Promise<void>;
}

export interface GeneratedToken {
  readonly token: number;
  /** Index in the completion. */
  readonly index: number;
  /** Core iterations of the call that produced it. */
  readonly iterations: number;
  /** Rows of that call: the prompt's length for index 0, else 1. */
  readonly rows: number;
  readonly exited: boolean;
  readonly exitValues: readonly number[];
  /** Why the completion ends here; undefined while it goes on. */
  readonly finish: "stop" | "length" | undefined;
}

/**
 * Generates tokens for one prompt.
 * @throws {FathomError} empty_prompt, context_overflow, out_of_memory, token_out_of_range: all before the first token
 */
export async function* generate(backend: Backend, options: GenerateOptions): AsyncGenerator<GeneratedToken, void, undefined> {
  const { prompt, maxTokens, iterations, stopTokens, initialState = zeroState, warmStart = "off" } = options;
  checkLengths(backend.config, prompt.length, maxTokens);
  const limit = typeof iterations === "number" ? () => iterations : iterations;
  const maxIterations = Math.max(...Array.from({ length: maxTokens }, (_, i) => limit(i)));
  const sequence = backend.openSequence({ capacity: prompt.length + maxTokens - 1, maxIterations, cache: options.cache });
  try {
    const tokens = [...prompt];
    let carried: LatentState | undefined;
    for (let index = 0; index < maxTokens; index++) {
      const fresh = tokens.slice(sequence.length);
      const start = sequence.length;
      const rows = await backend.prelude(fresh.map((token, i) => ({ sequence, token, state: carried ?? initialState(start + i) })));
      const thought = await think(backend, rows, {
        iterations: limit(index),
        exit: options.exit,
        isPrefill: index === 0,
        ...(options.lastReadout && { lastReadout: options.lastReadout }),
      });
      if (warmStart !== "off") carried = await backend.latent(rows.at(-1)!, warmStart);
      backend.release(rows);
      const token = sample(thought.logits, options.sampling ?? GREEDY, tokens, index);
      tokens.push(token);
      const finish = stopTokens.has(token) ? "stop" : index === maxTokens - 1 ? "length" : undefined;
      yield {
        token,
        index,
        iterations: thought.iterations,
        rows: rows.length,
        exited: thought.exited,
        exitValues: thought.exitValues,
        finish,
      };
      if (finish !== undefined) return;
      await options.breathe?.();
    }
  } finally {
    backend.closeSequence(sequence);
  }
}
