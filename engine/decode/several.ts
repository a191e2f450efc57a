/**
 * Several completions of one prompt: the prompt runs once, and each completion is a branch of it. Each is, bit for bit,
 * what the token loop gives for it alone under its own seed.
 */
import { fixedPolicy, type DepthPolicy } from "../depth-policy.ts";
import { FathomError } from "../errors.ts";
import type { Backend, Row, Sequence } from "../port/backend.ts";
import type { Completion, GeneratedToken, GenerateOptions, UnfinishedToken } from "./completion.ts";
import { endsWith } from "./completion.ts";
import { forward, type ForwardCost } from "./forward.ts";
import { zeroState } from "./initial-state.ts";
import { checkLengths } from "./lengths.ts";
import { GREEDY } from "./sample.ts";
import { choose, singly } from "./steps.ts";

export type SeveralOptions = Omit<GenerateOptions, "policy" | "chunks"> & {
  /** Completions, at least 1. Completion k draws with the seed `sampling.seed` + k. */
  readonly count: number;
  /**
   * The policy of each completion; the first one's plans the prompt's call, too, which no other is asked about.
   * [default `iterations` and `exit`, for every call]
   */
  readonly policyOf?: (choice: number) => DepthPolicy;
};

/** A token of one of the completions. */
export interface ChoiceToken {
  /** Index of the completion, from 0. */
  readonly choice: number;
  /** The first token of every completion but the first costs nothing: no rows, no iterations of rows, no readouts. */
  readonly token: GeneratedToken;
}

/** What the prompt's call has left for its completions. */
interface Prefill {
  readonly cost: Pick<UnfinishedToken, "rows" | "limit"> & ForwardCost & { readonly logits: Float32Array };
  readonly carried: Completion["carried"];
}

/**
 * Generates several completions, a token of each in turn until all have ended.
 * @throws {FathomError} invalid_request, and as `generate`; out_of_memory for a completion comes after the prompt has
 *   run, before the first token
 * @example
 * for await (const { choice, token } of generateSeveral(backend, { ...options, count: 3 })) texts[choice]!.push(token.token);
 */
export async function* generateSeveral(backend: Backend, options: SeveralOptions): AsyncGenerator<ChoiceToken, void, undefined> {
  const { prompt, maxTokens, count } = options;
  checkLengths(backend.config, prompt.length, maxTokens);
  if (!Number.isInteger(count) || count < 1)
    throw new FathomError("invalid_request", `The number of completions must be a whole number of at least 1, not ${count}.`, "n");
  const policyOf = options.policyOf ?? (() => fixedPolicy(options.iterations, options.exit, maxTokens));
  const policies = Array.from({ length: count }, (_, choice) => policyOf(choice));
  const plan = policies[0]!.plan({ index: 0, rows: prompt.length, cached: 0 });
  if (plan === undefined) throw new FathomError("budget_infeasible", "The budget does not cover the prompt and one token.", "budget");
  const parent = backend.openSequence({
    capacity: prompt.length,
    maxIterations: Math.max(...policies.map((policy) => policy.maxIterations)),
    cache: options.cache,
    attention: plan.exit.criterion === "rest-wake",
    prompt: prompt.length,
    rows: 1,
  });
  const open: Sequence[] = [];
  try {
    const { initialState = zeroState } = options;
    const rows = await backend.prelude(prompt.map((token, i) => ({ sequence: parent, token, state: initialState(i) })));
    const { proceed } = policies[0]!;
    const call = { ...plan, isPrefill: true, proceed: proceed.bind(policies[0]) };
    const lastReadout = options.lastReadout === undefined ? {} : { lastReadout: options.lastReadout };
    const read = await forward(backend, rows, { ...call, ...lastReadout });
    const prefill: Prefill = {
      cost: { ...read, rows: rows.length, limit: plan.iterations },
      carried: await carriedBy(backend, rows, options),
    };
    backend.release(rows);
    // a completion of one token needs no cache of its own
    if (maxTokens > 1) for (let k = 0; k < count; k++) open.push(backend.branch(parent, { capacity: maxTokens - 1, rows: 1 }));
    yield* inTurn(policies.map((policy, choice) => completionOf(backend, open[choice] ?? parent, policy, options, prefill, choice)));
  } finally {
    for (const sequence of [...open, parent]) backend.closeSequence(sequence);
  }
}

async function carriedBy(backend: Backend, rows: readonly Row[], { warmStart = "off" }: SeveralOptions): Promise<Completion["carried"]> {
  return warmStart === "off" ? undefined : backend.latent(rows.at(-1)!, warmStart);
}

/** The tokens of one completion, the first drawn from what the prompt has left. */
async function* completionOf(
  backend: Backend,
  sequence: Sequence,
  policy: DepthPolicy,
  options: SeveralOptions,
  { cost, carried }: Prefill,
  choice: number,
): AsyncGenerator<GeneratedToken, void, undefined> {
  const { sampling = GREEDY, policyOf: _, count: __, ...rest } = options;
  const own: GenerateOptions = { ...rest, policy, sampling: { ...sampling, seed: (sampling.seed ?? 0) + choice } };
  const completion: Completion = { backend, sequence, policy, options: own, tokens: [...options.prompt], carried };
  const shared = choice === 0 ? cost : { ...cost, rows: 0, iterations: 0, rowIterations: 0, readouts: 0, limit: 0 };
  const made: UnfinishedToken = { index: 0, rows: shared.rows, limit: shared.limit, ...choose(shared, completion, 0) };
  completion.tokens.push(made.token);
  const finish = endsWith(own, made);
  if (finish !== undefined) yield { ...made, finish };
  else yield* singly(completion, made);
}

/** One token of each in turn. */
async function* inTurn(
  completions: readonly AsyncGenerator<GeneratedToken, void, undefined>[],
): AsyncGenerator<ChoiceToken, void, undefined> {
  const live = new Map(completions.entries());
  try {
    while (live.size > 0)
      for (const [choice, tokens] of live) {
        const { done, value } = await tokens.next();
        if (done === true) live.delete(choice);
        else yield { choice, token: value };
      }
  } finally {
    for (const tokens of live.values()) await tokens.return();
  }
}
