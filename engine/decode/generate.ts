/**
 * The token loop: prefill the prompt in one call, then one row a token, each thinking as long as its limit and exit
 * rule allow. Yields every token with what it cost. Not here: text, stop strings, budgets, several requests at once.
 */
import { fixedPolicy } from "../depth-policy.ts";
import { FathomError } from "../errors.ts";
import type { Backend } from "../port/backend.ts";
import { goOnInChunks } from "./chunks.ts";
import type { Completion, GeneratedToken, GenerateOptions } from "./completion.ts";
import { checkLengths } from "./lengths.ts";
import { singly, step } from "./steps.ts";

export type { GeneratedToken, GenerateOptions } from "./completion.ts";

/**
 * Generates tokens for one prompt. Where the backend can make tokens by itself and the options leave it the choice, they
 * come in chunks: the same tokens at the same depths, without a round trip for each.
 * @throws {FathomError} empty_prompt, context_overflow, out_of_memory, token_out_of_range, budget_infeasible: all
 *   before the first token
 * @example
 * ```ts
 * const tokens = generate(model.backend, {
 *   prompt: model.text.encode("Start with 3. Add 4. Double it. Subtract 9. What is the last digit?"),
 *   maxTokens: 8,
 *   iterations: 32,
 *   exit: parseExitRule("latent-diff:0.03"),
 *   cache: parseCacheStrategy("full"),
 *   stopTokens: new Set(model.config.eosTokens),
 * });
 * for await (const { token, iterations } of tokens) console.log(model.text.decode([token]), iterations);
 * ```
 */
export async function* generate(backend: Backend, options: GenerateOptions): AsyncGenerator<GeneratedToken, void, undefined> {
  const { prompt, maxTokens } = options;
  checkLengths(backend.config, prompt.length, maxTokens);
  const policy = options.policy ?? fixedPolicy(options.iterations, options.exit, maxTokens);
  const plan = policy.plan({ index: 0, rows: prompt.length, cached: 0 });
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
    const completion: Completion = { backend, sequence, policy, options, tokens: [...prompt], carried: undefined };
    const { made, rows } = await step(completion, 0, plan);
    const chunks = goOnInChunks(completion, made, rows);
    if (chunks !== undefined) return yield* chunks;
    backend.release(rows);
    yield* singly(completion, made);
  } finally {
    backend.closeSequence(sequence);
  }
}
