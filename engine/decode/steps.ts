/**
 * A completion's tokens one call each: what is not in the cache yet goes in, the next token comes out.
 */
import type { CallPlan } from "../depth-policy.ts";
import type { Row } from "../port/backend.ts";
import { endsWith, type Completion, type GeneratedToken, type UnfinishedToken } from "./completion.ts";
import { forward, forwardGreedy, type ForwardCost, type ForwardOptions } from "./forward.ts";
import { zeroState } from "./initial-state.ts";
import { tokenLogprobs } from "./logprobs.ts";
import { GREEDY, isGreedy, sample } from "./sample.ts";

/** A token, and those after it, one call each. */
export async function* singly(completion: Completion, first: UnfinishedToken): AsyncGenerator<GeneratedToken, void, undefined> {
  const { backend, policy, sequence, options } = completion;
  for (let token = first; ;) {
    const index = token.index + 1;
    const plan = endsWith(options, token) === undefined ? policy.plan({ index, rows: 1, cached: sequence.length }) : undefined;
    yield { ...token, finish: plan === undefined ? (endsWith(options, token) ?? "length") : undefined };
    await options.breathe?.();
    if (plan === undefined) return;
    const { made, rows } = await step(completion, index, plan);
    backend.release(rows);
    token = made;
  }
}

/** One call: the tokens that are not in the cache yet go in, the next one comes out. */
export async function step(completion: Completion, index: number, plan: CallPlan): Promise<{ made: UnfinishedToken; rows: Row[] }> {
  const { backend, sequence, policy, options, tokens } = completion;
  const { initialState = zeroState, warmStart = "off", sampling = GREEDY } = options;
  const start = sequence.length;
  const rows = await backend.prelude(
    tokens.slice(start).map((token, i) => ({ sequence, token, state: completion.carried ?? initialState(start + i) })),
  );
  const call: ForwardOptions = {
    ...plan,
    isPrefill: index === 0,
    proceed: (report, exit) => policy.proceed(report, exit),
    ...(options.lastReadout && { lastReadout: options.lastReadout }),
  };
  const known = { index, rows: rows.length, limit: plan.iterations };
  const made: UnfinishedToken =
    isGreedy(sampling) && options.logprobs === undefined
      ? { ...known, ...(await forwardGreedy(backend, rows, call)) }
      : { ...known, ...choose(await forward(backend, rows, call), completion, index) };
  if (warmStart !== "off") completion.carried = await backend.latent(rows.at(-1)!, warmStart);
  tokens.push(made.token);
  return { made, rows };
}

/** Draws a token from the logits, and reports on them where that was asked for. */
export function choose(
  { logits, ...cost }: ForwardCost & { readonly logits: Float32Array },
  { options, tokens }: Completion,
  index: number,
): ForwardCost & Pick<UnfinishedToken, "token" | "logprobs"> {
  const token = sample(logits, options.sampling ?? GREEDY, tokens, index);
  return { ...cost, token, ...(options.logprobs !== undefined && { logprobs: tokenLogprobs(logits, token, options.logprobs) }) };
}
