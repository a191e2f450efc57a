/**
 * Several completions of one prompt: the prompt runs once, and each completion is a branch of it. Each is, bit for bit,
 * what the token loop gives for it alone under its own seed.
 */
import { fixedPolicy, type CallPlan, type DepthPolicy } from "../depth-policy.ts";
import { FathomError } from "../errors.ts";
import type { ExitRule } from "../exit-rule.ts";
import type { Backend, Row, Sequence, SequenceOptions } from "../port/backend.ts";
import { Replay, TimelineRecorder, type PromptPrefix } from "../port/prefix.ts";
import type { Completion, GeneratedToken, GenerateOptions, UnfinishedToken } from "./completion.ts";
import { endsWith } from "./completion.ts";
import { forward, type ForwardCost } from "./forward.ts";
import { zeroState } from "./initial-state.ts";
import { checkLengths } from "./lengths.ts";
import { GREEDY } from "./sample.ts";
import { choose, step } from "./steps.ts";

/** Options of `generateSeveral`: those of `generate`, and how many completions to make of one prompt. */
export type SeveralOptions = Omit<GenerateOptions, "policy" | "chunks"> & {
  /** Completions, at least 1. Completion k draws with the seed `sampling.seed` + k. */
  readonly count: number;
  /**
   * The policy of each completion; the first one's plans the prompt's call, too, which no other is asked about. A call
   * that was planned ends before any other is planned, so all may keep one account.
   * [default `iterations` and `exit`, for every call]
   */
  readonly policyOf?: (choice: number) => DepthPolicy;
  /** What the prompt takes over of earlier ones that begin alike, and what is kept of it; by the exit rule `exit`. [default nothing] */
  readonly prefix?: PromptPrefix | undefined;
  /** Whether nobody wants more of a completion, asked after each of its tokens. [default never] */
  readonly isOver?: (choice: number) => boolean;
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
 * Generates several completions, a token of each in turn until all have ended. Memory for all of them is taken before
 * the prompt runs.
 * @throws {FathomError} invalid_request, and as `generate`: all before the first token
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
  const found = options.prefix?.found?.length ?? 0;
  const plan = policies[0]!.plan({ index: 0, rows: prompt.length - found, cached: found });
  if (plan === undefined) throw new FathomError("budget_infeasible", "The budget does not cover the prompt and one token.", "budget");
  const open: Sequence[] = [];
  try {
    const parent = openPrompt(backend, options, plan, Math.max(...policies.map((policy) => policy.maxIterations)), open);
    const { prefill, branches } = await runPrompt(backend, parent, policies[0]!, plan, options, open);
    yield* inTurn(policies.map((policy, choice) => begin(backend, branches[choice] ?? parent, policy, options, prefill, choice)));
  } finally {
    for (const sequence of open.reverse()) backend.closeSequence(sequence);
  }
}

/**
 * Opens the prompt's sequence, and behind it one in whose place each completion will come: so none lacks memory later. The
 * prompt's keeps a history where it is to be kept and there is room for that, too.
 */
function openPrompt(backend: Backend, options: SeveralOptions, plan: CallPlan, maxIterations: number, open: Sequence[]): Sequence {
  const kept = options.prefix?.keepIterations;
  if (kept === undefined) return openAll(backend, options, plan, maxIterations, {}, open);
  try {
    return openAll(backend, options, plan, maxIterations, { history: { iterations: Math.min(kept, plan.iterations) } }, open);
  } catch (error) {
    if (!(error instanceof FathomError && error.code === "out_of_memory")) throw error;
    for (const sequence of open.splice(0).reverse()) backend.closeSequence(sequence);
    return openAll(backend, options, plan, maxIterations, {}, open);
  }
}

function openAll(
  backend: Backend,
  { prompt, maxTokens, count, cache, prefix }: SeveralOptions,
  { exit }: CallPlan,
  maxIterations: number,
  more: Pick<SequenceOptions, "history">,
  open: Sequence[],
): Sequence {
  const found = prefix?.found;
  const rows = prompt.length - (found?.length ?? 0);
  const own = { capacity: rows, maxIterations, attention: exit.criterion === "rest-wake", prompt: rows, rows: 1, ...more };
  const parent =
    found === undefined ? backend.openSequence({ ...own, cache }) : backend.branch(found.sequence, { ...own, from: found.length });
  open.push(parent);
  // a completion of one token needs no cache of its own
  if (maxTokens === 1) return parent;
  const branch: SequenceOptions = { capacity: maxTokens - 1, maxIterations, cache, rows: 1 };
  const bytes = backend.sequenceBytes(branch, prompt.length);
  let { capacity } = branch;
  while (capacity < prompt.length + maxTokens - 1 && backend.sequenceBytes({ ...branch, capacity }) < bytes) capacity++;
  for (let k = 0; k < count; k++) open.push(backend.openSequence({ ...branch, capacity }));
  return parent;
}

/** The prompt's call, and the branches behind it, in the order of the completions. */
async function runPrompt(
  backend: Backend,
  parent: Sequence,
  policy: DepthPolicy,
  plan: CallPlan,
  options: SeveralOptions,
  open: Sequence[],
): Promise<{ readonly prefill: Prefill; readonly branches: readonly Sequence[] }> {
  const { initialState = zeroState, prompt, maxTokens, lastReadout, prefix } = options;
  const { start } = parent;
  const rows = await backend.prelude(prompt.slice(start).map((token, i) => ({ sequence: parent, token, state: initialState(start + i) })));
  const branches: Sequence[] = [];
  for (const held of open.slice(1)) {
    backend.closeSequence(held);
    branches.push(backend.branch(parent, { capacity: maxTokens - 1, rows: 1 }));
    open.push(branches.at(-1)!);
  }
  const found = prefix?.found;
  const replay = found && new Replay(found, (iterations) => backend.recall!(parent, iterations));
  const recorder = parent.options.history && new TimelineRecorder(prompt.length, replay);
  let isOneRule = true;
  const proceed: DepthPolicy["proceed"] = (report, exit) => {
    const next = policy.proceed(report, exit);
    isOneRule &&= next === undefined || next.threshold === exit.threshold;
    return next;
  };
  const read = await forward(backend, rows, {
    ...plan,
    isPrefill: true,
    proceed,
    replay,
    recorder,
    ...(lastReadout && { lastReadout }),
  });
  const carried = await carriedBy(backend, rows, options);
  backend.release(rows);
  const timeline = isOneRule && isSameRule(plan.exit, options.exit) ? recorder?.timeline : undefined;
  if (timeline !== undefined && prefix!.keep(parent, timeline)) open.splice(0, 1);
  return { prefill: { cost: { ...read, rows: rows.length, limit: plan.iterations }, carried }, branches };
}

/** Whether rows that ran by one rule are what they would be by the other. */
function isSameRule(a: ExitRule, b: ExitRule): boolean {
  return a.criterion === b.criterion && a.threshold === b.threshold && a.wake === b.wake;
}

async function carriedBy(backend: Backend, rows: readonly Row[], { warmStart = "off" }: SeveralOptions): Promise<Completion["carried"]> {
  return warmStart === "off" ? undefined : backend.latent(rows.at(-1)!, warmStart);
}

/** A completion that goes on. */
interface OpenChoice {
  readonly choice: number;
  readonly completion: Completion;
  readonly isOver: () => boolean;
  /** The last token, of which it is not known yet whether another follows. */
  made: UnfinishedToken;
}

/** A completion with its first token, drawn from what the prompt has left. */
function begin(
  backend: Backend,
  sequence: Sequence,
  policy: DepthPolicy,
  options: SeveralOptions,
  { cost, carried }: Prefill,
  choice: number,
): OpenChoice {
  const { sampling = GREEDY, policyOf: _, count: __, prefix: ___, isOver = () => false, ...rest } = options;
  const own: GenerateOptions = { ...rest, policy, sampling: { ...sampling, seed: (sampling.seed ?? 0) + choice } };
  const completion: Completion = { backend, sequence, policy, options: own, tokens: [...options.prompt], carried };
  const shared = choice === 0 ? cost : { ...cost, rows: 0, iterations: 0, rowIterations: 0, readouts: 0, limit: 0 };
  const made: UnfinishedToken = { index: 0, rows: shared.rows, limit: shared.limit, ...choose(shared, completion, 0) };
  completion.tokens.push(made.token);
  return { choice, completion, isOver: () => isOver(choice), made };
}

/** One token of each in turn. A completion's next call is planned, its last token given out, and the call made at once. */
async function* inTurn(choices: readonly OpenChoice[]): AsyncGenerator<ChoiceToken, void, undefined> {
  let live = [...choices];
  while (live.length > 0) {
    const going: OpenChoice[] = [];
    for (const [place, open] of live.entries()) {
      const { policy, options, sequence, backend } = open.completion;
      const index = open.made.index + 1;
      const end = endsWith(options, open.made);
      const plan = end === undefined ? policy.plan({ index, rows: 1, cached: sequence.length }) : undefined;
      yield { choice: open.choice, token: { ...open.made, finish: plan === undefined ? (end ?? "length") : undefined } };
      if (plan === undefined) continue;
      if (open.isOver()) {
        policy.cancel?.();
        continue;
      }
      await options.breathe?.();
      try {
        const { made, rows } = await step(open.completion, index, plan);
        backend.release(rows);
        open.made = made;
      } catch (error) {
        // what the others have made is paid for
        for (const { choice, made } of [...going, ...live.slice(place + 1)]) yield { choice, token: { ...made, finish: undefined } };
        throw error;
      }
      going.push(open);
    }
    live = going;
  }
}
