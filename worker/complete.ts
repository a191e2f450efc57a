/**
 * One completion: a checked request and a model -> pieces of text and, at the end, what they cost. Knows nothing of
 * HTTP or of wire shapes, so that routes and RPC share it.
 */
import type { BudgetSources } from "../engine/budget/budget.ts";
import type { Clock, Timer } from "../engine/budget/clock.ts";
import type { BudgetController, Spending } from "../engine/budget/controller.ts";
import type { Grant } from "../engine/budget/grant.ts";
import type { PriceCard } from "../engine/budget/price.ts";
import { costOf, type CostReport } from "../engine/budget/report.ts";
import type { SharedBudget } from "../engine/budget/shared-budget.ts";
import {
  answer,
  answers,
  countIterations,
  type AnswerPiece,
  type ChoicePiece,
  type FinishReason,
  type IterationCount,
} from "../engine/decode/answer.ts";
import { checkLengths } from "../engine/decode/lengths.ts";
import type { Sampling } from "../engine/decode/sample.ts";
import { FathomError } from "../engine/errors.ts";
import type { SharingBackend } from "../engine/schedule/lane.ts";
import type { Scheduler } from "../engine/schedule/scheduler.ts";
import type { PrefixHold, PrefixTerms } from "../engine/schedule/prefix-cache.ts";
import type { Model } from "../engine/port/model.ts";
import { budgetSources, type BudgetRequest, type CallerBudgets, type DeploymentLimits } from "./budget.ts";
import { ApiError } from "./errors.ts";
import { patience } from "./host.ts";
import { sharing, type PrefixCacheSettings } from "./prefix-settings.ts";
import { promptTokens, type Prompt } from "./prompt-tokens.ts";
import { refuseCrowded, sharedBy, turnToRead } from "./schedulers.ts";
import { Tally } from "./tally.ts";
import { TextAccount } from "./text-account.ts";

export interface CompletionRequest extends BudgetRequest {
  /** Name of the model. */
  readonly model: string;
  readonly prompt: Prompt;
  readonly sampling: Sampling;
  readonly stop: readonly string[];
  /** Completions of the prompt. */
  readonly choices: number;
  readonly stream: boolean;
  /** Prompts of other keys share nothing with this one. */
  readonly cacheKey: string | undefined;
  /** A stream ends with the usage. */
  readonly includeUsage: boolean;
}

export interface CompletionPiece {
  /** Index of the completion that it belongs to. */
  readonly choice: number;
  /** Text of a chat answer starts with its first visible character. May be empty. */
  readonly text: string;
  /** Why this completion ended; set on its last piece alone. */
  readonly finish: FinishReason | undefined;
  /** What the request was and spent; set on the last piece of all alone. */
  readonly report: CompletionReport | undefined;
}

export interface CompletionReport {
  /** How the completion ended; "length", if one of several was cut. */
  readonly finish: FinishReason;
  readonly promptTokens: number;
  /** Tokens of the prompt that were taken over from earlier ones, and cost nothing. */
  readonly cachedTokens: number;
  /** Tokens of all completions together. The stop token counts, as it was thought about, too. */
  readonly completionTokens: number;
  readonly iterations: IterationCount;
  readonly grant: Grant;
  readonly spending: Spending;
  readonly cost: CostReport;
}

export interface CompletionSettings {
  readonly limits: DeploymentLimits;
  readonly price: PriceCard;
  readonly clock: Clock;
  /** The clock's reading when the request came. [default now] */
  readonly arrivedMs?: number;
  /** Whose request it is, for fair shares. [default a caller of its own] */
  readonly caller?: string | undefined;
  /** What later prompts may take over of earlier ones. [default nothing] */
  readonly prefixCache?: PrefixCacheSettings;
  /** The bearer key, where prompts of different ones are to share nothing. */
  readonly key?: string | undefined;
  /** What key and headers say. [default nothing] */
  readonly callerBudgets?: CallerBudgets;
  /** Awaited between tokens, and while other requests compute. */
  readonly breathe: () => Promise<void>;
  /** Called once the request has been let in or refused. [default nobody waits for that] */
  readonly judged?: () => void;
  /** Ends the completion at the next token, without a report. */
  readonly signal: AbortSignal;
}

/**
 * Runs a completion. Everything that can be wrong with the request is thrown by the first `next`, before any work.
 * @throws {ApiError | FathomError}
 */
export async function* complete(
  model: Model,
  request: CompletionRequest,
  settings: CompletionSettings,
): AsyncGenerator<CompletionPiece, void, undefined> {
  const { choices } = request;
  const admitted = await admit(model, request, settings).finally(settings.judged);
  const { hold, controller } = admitted;
  const tally = new Tally(choices);
  const started = new Set(request.prompt.kind === "chat" ? [] : Array.from({ length: choices }, (_, choice) => choice));
  let isWhole = false;
  try {
    for await (const piece of piecesOf(model, request, settings, admitted, tally)) {
      if (settings.signal.aborted) return;
      const { choice, finish } = piece;
      tally.add(piece);
      // a stop string leaves the next token's call planned and never made
      if (finish === "stop" && piece.token?.finish === undefined) controller.cancel();
      const text = started.has(choice) ? piece.text : piece.text.trimStart();
      if (text !== "") started.add(choice);
      isWhole = finish !== undefined && tally.left === 0;
      yield { choice, text, finish, report: isWhole ? report(tally, admitted) : undefined };
    }
  } finally {
    controller.abandon();
    hold.release(isWhole);
  }
}

function piecesOf(
  model: Model,
  { choices, sampling, stop }: CompletionRequest,
  { breathe }: CompletionSettings,
  { prompt, grant, controller, scheduler, lane, hold }: Admitted,
  tally: Tally,
): AsyncGenerator<ChoicePiece, void, undefined> {
  const options = {
    prompt,
    maxTokens: grant.tokens,
    iterations: grant.iterations,
    exit: grant.exit,
    cache: model.card.cacheStrategy,
    sampling,
    stop,
    // whose time is short leaves it to the calls to let the host in, which brings others' reading
    breathe: () => (grant.latencyMs < Infinity && scheduler.isUrgent ? Promise.resolve() : breathe()),
    endBy: (error: unknown) => {
      // a token that was dropped before its turn ends an answer that has begun
      const isLate = error instanceof FathomError && error.code === "budget_exhausted" && grant.onExhausted !== "error";
      if (!isLate || tally.tokens.length === 0) return undefined;
      controller.expire();
      return "length" as const;
    },
  };
  const served = { ...model, backend: lane };
  const sharesPrompt = hold.found !== undefined || hold.keepIterations !== undefined;
  if (choices === 1 && !sharesPrompt) return alone(answer(served, { ...options, policy: controller }));
  return answers(served, { ...options, count: choices, prefix: hold, policyOf: (choice) => controller.choice(choice, choices) });
}

/**
 * What a prompt must share with earlier ones to take over their beginnings. Where the budget may run out, what is saved
 * would be thought about further: such a request takes nothing over, so that no answer depends on who asked before.
 */
function prefixTerms(
  model: Model,
  { cacheKey, choices }: CompletionRequest,
  settings: CompletionSettings,
  grant: Grant,
  promptTokens: number,
  sharedBudget: SharedBudget,
): PrefixTerms {
  return {
    ...sharing(settings, cacheKey),
    exit: grant.exit,
    cache: model.card.cacheStrategy,
    iterations: Math.min(grant.iterations, grant.totalIterations),
    onlyKeeps: !sharedBudget.coversAll(grant, promptTokens, { choices }),
  };
}

/**
 * A prompt of so many tokens or more is judged by the fewest that its length allows, before they are made; below, in
 * some milliseconds, by the true number, which a refusal can name.
 */
const MANY_TOKENS = 512;

/** A request that has been let in. */
interface Admitted {
  readonly prompt: readonly number[];
  readonly grant: Grant;
  readonly controller: BudgetController;
  readonly scheduler: Scheduler;
  readonly lane: SharingBackend;
  /** The prompt's part in what prompts share. */
  readonly hold: PrefixHold;
  readonly timer: Timer;
  readonly sharedBudget: SharedBudget;
}

/** Lets a request in, or refuses it as early as it can be known: by their number, its length, its budget, the others. */
async function admit(model: Model, request: CompletionRequest, settings: CompletionSettings): Promise<Admitted> {
  const { breathe, clock, arrivedMs = clock.now(), limits } = settings;
  const { choices } = request;
  if (choices > limits.maxChoices)
    throw new ApiError(400, "invalid_value", `n must be at most ${limits.maxChoices} here, not ${choices}.`, "n");
  const shared = sharedBy(model, clock);
  const { scheduler, sharedBudget, prefixes } = shared;
  refuseCrowded(sharedBudget, limits);
  const timer = sharedBudget.arrive(arrivedMs);
  const sources = budgetSources(request, model.card, limits, settings.callerBudgets ?? {});
  const first = grantOf(model, sharedBudget, sources, settings, 1);
  sharedBudget.refuseLast(first, timer);
  await turnToRead(clock, breathe);
  const text = new TextAccount(sharedBudget, timer, first);
  const granted = (tokens: number): Grant => {
    const grant = grantOf(model, sharedBudget, sources, settings, tokens, text.ms);
    checkLengths(model.config, tokens, grant.tokens);
    return grant;
  };
  const prompt = await promptTokens(model, request.prompt, {
    maxPromptCharacters: limits.maxPromptCharacters,
    breathe,
    onLeast(tokens) {
      if (tokens >= MANY_TOKENS && tokens <= model.config.contextLength)
        sharedBudget.open(granted(tokens), tokens, timer, { choices }).abandon();
    },
    onWork: (ms) => text.spend(ms),
  });
  const grant = granted(prompt.length);
  let controller: BudgetController | undefined;
  const lane = scheduler.lane({
    deadlineMs: arrivedMs + grant.latencyMs,
    flow: settings.caller,
    yieldToHost: breathe,
    patience,
    isOverdue: () => controller?.isOverdue === true,
  });
  const hold = prefixes.find(lane, prompt, prefixTerms(model, request, settings, grant, prompt.length, sharedBudget));
  try {
    const cachedRows = hold.found?.length;
    controller = sharedBudget.open(grant, prompt.length, timer, { choices, ...(cachedRows !== undefined && { cachedRows }) });
    return { prompt, grant, controller, scheduler, lane, hold, timer, sharedBudget };
  } catch (error) {
    hold.release(false);
    throw error;
  }
}

async function* alone(pieces: AsyncIterable<AnswerPiece>): AsyncGenerator<ChoicePiece, void, undefined> {
  for await (const piece of pieces) yield { choice: 0, ...piece };
}

/** Where nobody says how many tokens, the card's number as far as the context goes. */
function grantOf(
  { card, config }: Model,
  sharedBudget: SharedBudget,
  sources: BudgetSources,
  settings: CompletionSettings,
  promptTokens: number,
  textMs = 0,
): Grant {
  const room = config.contextLength - promptTokens + 1;
  return sharedBudget.grant(
    sources,
    {
      iterations: card.iterations,
      maxIterations: card.maxIterations,
      tokens: Math.min(card.maxCompletionTokens, room),
      exit: card.exitRule,
      quality: card.quality,
    },
    settings.price,
    textMs,
  );
}

function report({ finish, tokens, longest }: Tally, { prompt, hold, grant, controller, timer, sharedBudget }: Admitted): CompletionReport {
  // the first tokens of several completions come of one call, which the first of them has
  const made = tokens.filter(({ rows }) => rows > 0);
  const spending = controller.report(finish, made.length, longest);
  return {
    finish,
    promptTokens: prompt.length,
    cachedTokens: hold.found?.length ?? 0,
    completionTokens: tokens.length,
    iterations: countIterations(made),
    grant,
    spending,
    cost: costOf(spending, timer, grant, sharedBudget.calibration),
  };
}
