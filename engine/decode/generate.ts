/**
 * The token loop: prefill the prompt in one call, then one row a token, each thinking as long as its limit and exit
 * rule allow. Yields every token with what it cost. Not here: text, stop strings, budgets, several requests at once.
 */
import type { Backend, LatentState } from "../port/backend.ts";
import type { CacheStrategy } from "../cache-strategy.ts";
import { FathomError } from "../errors.ts";
import type { ExitRule } from "../exit-rule.ts";
import { zeroState, type InitialState } from "./initial-state.ts";
import { checkLengths } from "./lengths.ts";
import { fixedPolicy, type DepthPolicy } from "../depth-policy.ts";
import { tokenLogprobs, type TokenLogprobs } from "./logprobs.ts";
import { GREEDY, sample, type Sampling } from "./sample.ts";
import { forward } from "./forward.ts";

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
  /** Decides depth call by call, in place of `iterations` and `exit`. [default those two] */
  readonly policy?: DepthPolicy;
  readonly cache: CacheStrategy;
  /** The completion ends with the first of these, which is yielded, too. */
  readonly stopTokens: ReadonlySet<number>;
  /** [default zeros] */
  readonly initialState?: InitialState;
  /** [default "off"] */
  readonly warmStart?: WarmStart;
  /** [default greedy] */
  readonly sampling?: Sampling;
  /** See ForwardOptions. [default "final"] */
  readonly lastReadout?: "final" | "checked";
  /** Report log-probabilities, with this many alternatives; undefined: none. */
  readonly logprobs?: number;
  /** Awaited between tokens: where a host lets streams flow and other requests in. */
  readonly breathe?: () => Promise<void>;
}

export interface GeneratedToken {
  readonly token: number;
  /** Index in the completion. */
  readonly index: number;
  /** Core iterations of the call that produced it: of its deepest row, where rows stop one by one. */
  readonly iterations: number;
  /** Core iterations of all rows of that call, summed. */
  readonly rowIterations: number;
  /** Times that coda and head were run in that call. */
  readonly readouts: number;
  /** The limit that the call had. */
  readonly limit: number;
  /** Rows of that call: the prompt's length for index 0, else 1. */
  readonly rows: number;
  readonly exited: boolean;
  readonly exitValues: readonly number[];
  /** Where `logprobs` asked for them. */
  readonly logprobs?: TokenLogprobs;
  /** Why the completion ends here; undefined while it goes on. */
  readonly finish: "stop" | "length" | undefined;
}

/**
 * Generates tokens for one prompt.
 * @throws {FathomError} empty_prompt, context_overflow, out_of_memory, token_out_of_range, budget_infeasible: all
 *   before the first token
 */
export async function* generate(backend: Backend, options: GenerateOptions): AsyncGenerator<GeneratedToken, void, undefined> {
  const { prompt, maxTokens, stopTokens, initialState = zeroState, warmStart = "off" } = options;
  checkLengths(backend.config, prompt.length, maxTokens);
  const policy = options.policy ?? fixedPolicy(options.iterations, options.exit, maxTokens);
  let plan = policy.plan({ index: 0, rows: prompt.length, cached: 0 });
  if (plan === undefined) throw new FathomError("budget_infeasible", "The budget does not cover the prompt and one token.", "budget");
  const sequence = backend.openSequence({
    capacity: prompt.length + maxTokens - 1,
    maxIterations: policy.maxIterations,
    cache: options.cache,
    attention: plan.exit.criterion === "rest-wake",
    prompt: prompt.length,
    rows: 1,
  });
  try {
    const tokens = [...prompt];
    let carried: LatentState | undefined;
    for (let index = 0; plan !== undefined; index++) {
      const start = sequence.length;
      const rows = await backend.prelude(
        tokens.slice(start).map((token, i) => ({ sequence, token, state: carried ?? initialState(start + i) })),
      );
      const { logits, ...cost } = await forward(backend, rows, {
        ...plan,
        isPrefill: index === 0,
        proceed: (report, exit) => policy.proceed(report, exit),
        ...(options.lastReadout && { lastReadout: options.lastReadout }),
      });
      if (warmStart !== "off") carried = await backend.latent(rows.at(-1)!, warmStart);
      backend.release(rows);
      const token = sample(logits, options.sampling ?? GREEDY, tokens, index);
      tokens.push(token);
      const limit: number = plan.iterations;
      const more: boolean = !stopTokens.has(token) && index + 1 < maxTokens;
      plan = more ? policy.plan({ index: index + 1, rows: 1, cached: sequence.length }) : undefined;
      const finish = plan !== undefined ? undefined : stopTokens.has(token) ? "stop" : "length";
      const logprobs = options.logprobs === undefined ? {} : { logprobs: tokenLogprobs(logits, token, options.logprobs) };
      yield { token, index, rows: rows.length, limit, ...cost, ...logprobs, finish };
      await options.breathe?.();
    }
  } finally {
    backend.closeSequence(sequence);
  }
}
