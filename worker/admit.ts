/**
 * Letting a completion in, or refusing it as early as that can be known: by the number of requests, its budget and what the
 * others leave; then by its text, once that is read. Not here: what comes of it (complete.ts).
 */
import type { BudgetSources } from "../engine/budget/budget.ts";
import type { Timer } from "../engine/budget/clock.ts";
import type { BudgetController } from "../engine/budget/controller.ts";
import type { Grant } from "../engine/budget/grant.ts";
import type { SharedBudget } from "../engine/budget/shared-budget.ts";
import { checkLengths } from "../engine/decode/lengths.ts";
import type { SharingBackend } from "../engine/schedule/lane.ts";
import type { Scheduler } from "../engine/schedule/scheduler.ts";
import type { PrefixHold, PrefixTerms } from "../engine/schedule/prefix-cache.ts";
import type { Model } from "../engine/port/model.ts";
import { budgetSources } from "./budget.ts";
import type { CompletionRequest, CompletionSettings } from "./completion.ts";
import { ApiError } from "./errors.ts";
import { patience } from "./host.ts";
import { sharing } from "./prefix-settings.ts";
import { likelyTokens, promptTokens, refuseLongPrompt } from "./prompt-tokens.ts";
import { refuseCrowded, sharedBy } from "./schedulers.ts";
import { TextAccount } from "./text-account.ts";

/** A request that has been let in. */
export interface Admitted {
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

/**
 * A prompt of so many tokens or more is judged by the fewest that its length allows, before they are made; below, in
 * some milliseconds, by the true number, which a refusal can name.
 */
const MANY_TOKENS = 512;

/** @throws {ApiError | FathomError} what is wrong with the request, and why it is refused */
export async function admit(model: Model, request: CompletionRequest, settings: CompletionSettings): Promise<Admitted> {
  const { clock, entry, limits } = settings;
  const { choices } = request;
  if (choices > limits.maxChoices)
    throw new ApiError(400, "invalid_value", `n must be at most ${limits.maxChoices} here, not ${choices}.`, "n");
  const { sharedBudget } = sharedBy(model, clock);
  refuseCrowded(sharedBudget, limits);
  refuseLongPrompt(request.prompt, limits.maxPromptCharacters);
  const arrivedMs = entry?.arrivedMs ?? clock.now();
  const timer = sharedBudget.arrive(arrivedMs);
  const sources = budgetSources(request, model.card, limits, settings.callerBudgets ?? {});
  const first = grantOf(model, sharedBudget, sources, settings, 1);
  const place = sharedBudget.expect(first, timer, likelyTokens(request.prompt));
  try {
    await entry?.entered(arrivedMs + first.latencyMs);
    return await readAndOpen(model, request, settings, { arrivedMs, timer, sources, first, place });
  } finally {
    place.release();
  }
}

/** A request whose budget is known, and not its text. */
interface Entered {
  readonly arrivedMs: number;
  readonly timer: Timer;
  readonly sources: BudgetSources;
  /** What a prompt of one token would be granted. */
  readonly first: Grant;
  /** Given back as soon as something better is known of what it needs. */
  readonly place: { release(): void };
}

async function readAndOpen(
  model: Model,
  request: CompletionRequest,
  settings: CompletionSettings,
  { arrivedMs, timer, sources, first, place }: Entered,
): Promise<Admitted> {
  const { breathe, clock } = settings;
  const { choices } = request;
  const { scheduler, sharedBudget, prefixes } = sharedBy(model, clock);
  const text = new TextAccount(sharedBudget, timer, first);
  const granted = (tokens: number): Grant => {
    const grant = grantOf(model, sharedBudget, sources, settings, tokens, text.ms);
    checkLengths(model.config, tokens, grant.tokens);
    return grant;
  };
  let least: BudgetController | undefined;
  try {
    const prompt = await promptTokens(model, request.prompt, {
      breathe,
      onLeast(tokens) {
        if (tokens < MANY_TOKENS || tokens > model.config.contextLength) return;
        place.release();
        least = sharedBudget.open(granted(tokens), tokens, timer, { choices });
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
      place.release();
      least?.abandon();
      const cachedRows = hold.found?.length;
      controller = sharedBudget.open(grant, prompt.length, timer, { choices, ...(cachedRows !== undefined && { cachedRows }) });
      return { prompt, grant, controller, scheduler, lane, hold, timer, sharedBudget };
    } catch (error) {
      hold.release(false);
      throw error;
    }
  } finally {
    least?.abandon();
  }
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
