/**
 * Tokens in chunks, from a backend that makes them by itself: what the token loop does after the prompt where nothing
 * has to be decided between two tokens. Not here: how a device makes them (the backend's openChain and makeTokens).
 */
import type { CallPlan } from "../depth-policy.ts";
import { FathomError } from "../errors.ts";
import type { Row } from "../port/backend.ts";
import type { MadeToken, TokenChain } from "../port/chain.ts";
import { endsWith, type Completion, type GeneratedToken, type UnfinishedToken } from "./completion.ts";
import { zeroState } from "./initial-state.ts";
import { GREEDY, isGreedy } from "./sample.ts";
import { singly, step } from "./steps.ts";

/** Tokens of one submit: at sixteen the round trip is a small part of it, and a stream still moves (docs/webgpu.md). */
const CHUNK = 16;

/** A chain of chunks with its first plan: there is at least one more token to make. */
interface ChunkedChain {
  readonly chain: TokenChain;
  readonly plans: readonly CallPlan[];
}

/**
 * Goes on behind the prompt's token, where the backend makes tokens and the options leave it the choice.
 * @param rows the prompt's, in flight; the loop's afterwards
 * @returns undefined where tokens must come one by one, or where there are no more; then `rows` are the caller's
 */
export function goOnInChunks(
  completion: Completion,
  first: UnfinishedToken,
  rows: readonly Row[],
): AsyncGenerator<GeneratedToken, void, undefined> | undefined {
  const chain = openChain(completion, first, rows.at(-1)!);
  if (chain === undefined) return undefined;
  completion.backend.release(rows.slice(0, -1));
  return whole(completion, chain, first);
}

/** Makes tokens in chunks, and one by one from where the backend could not go on. */
async function* whole(
  completion: Completion,
  chunked: ChunkedChain,
  first: UnfinishedToken,
): AsyncGenerator<GeneratedToken, void, undefined> {
  const { backend, policy, options, sequence } = completion;
  const last = yield* chained(completion, chunked, first);
  if (last === undefined) return;
  const { warmStart = "off" } = options;
  if (warmStart !== "off") completion.carried = chunked.chain.carried?.[warmStart];
  const next = policy.plan({ index: last.index + 1, rows: 1, cached: sequence.length });
  if (next === undefined) throw new FathomError("budget_exhausted", "The budget ran out while the answer changed its backend.", "budget");
  const again = await step(completion, last.index + 1, next);
  backend.release(again.rows);
  yield* singly(completion, again.made);
}

/**
 * Begins a chain after the prompt's token.
 * @param row the prompt's last row; it is the chain's afterwards
 */
function openChain(completion: Completion, first: UnfinishedToken, row: Row): ChunkedChain | undefined {
  const { backend, policy, options, sequence } = completion;
  const { stopTokens, maxTokens, warmStart = "off", initialState = zeroState, sampling = GREEDY } = options;
  const isPlain = isGreedy(sampling) && options.logprobs === undefined && options.lastReadout !== "checked" && options.chunks !== false;
  if (backend.openChain === undefined || policy.planAhead === undefined || !isPlain) return undefined;
  if (endsWith(options, first) !== undefined) return undefined;
  const plans = planChunk(completion, 1, sequence.length, maxTokens - 1);
  const [next] = plans;
  if (next === undefined) return undefined;
  const { token } = first;
  const chain = backend.openChain({ row, token, maxTokens: maxTokens - 1, exit: next.exit, stopTokens, warmStart, initialState });
  return chain && { chain, plans };
}

/** A chunk on its way. */
interface Chunk {
  readonly plans: readonly CallPlan[];
  readonly made: Promise<readonly MadeToken[]>;
}

/**
 * Yields the prompt's token and those that follow.
 * @returns the last token where the backend could not go on with the chain, and more may follow; else undefined
 */
async function* chained(
  completion: Completion,
  { chain, plans }: ChunkedChain,
  first: UnfinishedToken,
): AsyncGenerator<GeneratedToken, UnfinishedToken | undefined, undefined> {
  const { policy, options, sequence, tokens } = completion;
  const { ahead = true } = options.chunks || {};
  const runsAhead = ahead && policy.reconcile === undefined;
  let planned = sequence.length;
  const make = (next: readonly CallPlan[]): Chunk | undefined => {
    planned += next.length;
    return next.length === 0 ? undefined : begin(completion, chain, next);
  };
  let last = first;
  yield { ...first, finish: undefined };
  await options.breathe?.();
  for (let chunk = make(plans); chunk !== undefined;) {
    let next = runsAhead ? make(planChunk(completion, last.index + 1 + chunk.plans.length, planned, chain.left)) : undefined;
    const made = await chunk.made;
    policy.reconcile?.(made.map(({ iterations, exitValues, exited }) => ({ iterations, exited, checks: exitValues.length })));
    const cameOf = made.map((token, k): UnfinishedToken => describe(token, last.index + 1 + k, chunk!.plans[k]!));
    last = cameOf.at(-1) ?? last;
    const end = endsWith(options, last);
    const fellShort = end === undefined && made.length < chunk.plans.length;
    if (end === undefined && !fellShort && !runsAhead) next = make(planChunk(completion, last.index + 1, planned, chain.left));
    for (const token of cameOf) {
      tokens.push(token.token);
      const isLast = token === last && !fellShort && (end !== undefined || next === undefined);
      yield { ...token, finish: isLast ? (end ?? "length") : undefined };
      await options.breathe?.();
    }
    if (fellShort) return last;
    chunk = end === undefined ? next : undefined;
  }
  return undefined;
}

function describe(
  { token, iterations, exited, exitValues }: MadeToken,
  index: number,
  { iterations: planned, cap = planned }: CallPlan,
): UnfinishedToken {
  return { token, index, rows: 1, limit: cap, iterations, rowIterations: iterations, readouts: 1, exited, exitValues };
}

function planChunk({ policy, options }: Completion, index: number, cached: number, left: number): readonly CallPlan[] {
  const count = Math.min((options.chunks || {}).size ?? CHUNK, left);
  return count === 0 ? [] : policy.planAhead!({ index, rows: 1, cached }, count);
}

function begin({ backend }: Completion, chain: TokenChain, plans: readonly CallPlan[]): Chunk {
  const made = backend.makeTokens!([chain], [plans.map((plan) => plan.iterations)]).then(([tokens]) => tokens!);
  made.catch(() => undefined); // whoever stops early never awaits it
  return { plans, made };
}
