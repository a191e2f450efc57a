/**
 * Work whose passes are known beforehand, under a budget: bounded by its texts, granted, admitted, computed in a lane, and
 * its costs told. Decisions and embeddings are such work. Knows nothing of HTTP or of wire shapes.
 */
import type { DecisionPolicy, DecisionShape } from "../engine/decision-policy.ts";
import type { Grant } from "../engine/budget/grant.ts";
import { costOf } from "../engine/budget/report.ts";
import { decisionDefaults } from "../engine/decide/decide.ts";
import type { DecisionController } from "../engine/budget/decision-controller.ts";
import type { Backend } from "../engine/port/backend.ts";
import type { Model } from "../engine/port/model.ts";
import type { SharingBackend } from "../engine/schedule/lane.ts";
import type { PrefixCache } from "../engine/schedule/prefix-cache.ts";
import { budgetSources, type BudgetRequest } from "./budget.ts";
import type { CompletionReport, CompletionSettings } from "./completion.ts";
import { patience } from "./host.ts";
import { MS_PER_CHARACTER } from "../engine/text-work.ts";
import { refuseLong } from "./prompt-tokens.ts";
import { refuseCrowded, sharedBy } from "./schedulers.ts";
import { TextAccount } from "./text-account.ts";

/** What work is done with. */
export interface WorkTerms {
  readonly policy: DecisionPolicy;
  readonly backend: Backend;
  readonly grant: Grant;
}

/** What work may take over of earlier work by. */
export interface SharedTerms {
  readonly lane: SharingBackend;
  readonly prefixes: PrefixCache;
  readonly grant: Grant;
  /** Whether the work cannot run out of what it is granted. */
  readonly isCovered: boolean;
}

/** Work that takes something over, until it is released. */
export interface HeldWork<Prepared> {
  readonly prepared: Prepared;
  release(succeeded: boolean): void;
}

export interface PlannedWork<Prepared, Done> {
  /** Characters of the request's fields, of all that the model reads. */
  readonly lengths: readonly { readonly param: string; readonly characters: number }[];
  /** Puts the request into passes; what can be wrong with it is thrown there, before any work. */
  readonly prepare: (grant: Grant) => Prepared;
  /** Lets the work take over what earlier work has left. [default nothing] */
  readonly hold?: (prepared: Prepared, terms: SharedTerms) => HeldWork<Prepared>;
  readonly run: (prepared: Prepared, terms: WorkTerms) => Promise<Done>;
}

/** What a report says of any planned work. */
type WorkReport = Pick<CompletionReport, "finish" | "completionTokens" | "grant" | "spending" | "cost">;

/** @throws {ApiError} 400 string_above_max_length, 503 overloaded; {FathomError} of the budget, and what the work throws */
export async function runPlanned<Prepared extends { readonly shape: DecisionShape }, Done>(
  model: Model,
  request: BudgetRequest,
  { breathe, clock, limits, price, caller, callerBudgets = {}, entry }: CompletionSettings,
  { lengths, prepare, hold, run }: PlannedWork<Prepared, Done>,
): Promise<{ readonly prepared: Prepared; readonly done: Done; readonly report: WorkReport }> {
  const { card } = model;
  const shared = sharedBy(model, clock);
  const { scheduler, sharedBudget, prefixes } = shared;
  refuseCrowded(sharedBudget, limits);
  const arrivedMs = entry?.arrivedMs ?? clock.now();
  const timer = sharedBudget.arrive(arrivedMs);
  for (const { param, characters } of lengths) refuseLong(characters, limits.maxPromptCharacters, param);
  const textMs = MS_PER_CHARACTER * lengths.reduce((sum, { characters }) => sum + characters, 0);
  const sources = budgetSources(request, card, limits, callerBudgets);
  const defaults = { ...decisionDefaults(card), maxIterations: card.maxIterations, tokens: 1 };
  const grant = sharedBudget.grant(sources, defaults, price, textMs);
  sharedBudget.expect(grant, timer).release();
  new TextAccount(sharedBudget, timer, grant).spend(textMs); // before it is read: its length is known, and it is read in one go
  const whole = prepare(grant);
  let policy: DecisionController | undefined;
  const lane = scheduler.lane({
    deadlineMs: arrivedMs + grant.latencyMs,
    flow: caller,
    yieldToHost: breathe,
    patience,
    isOverdue: () => policy?.isOverdue === true,
  });
  const held = hold?.(whole, { lane, prefixes, grant, isCovered: sharedBudget.coversDecision(grant, whole.shape) });
  const prepared = held?.prepared ?? whole;
  let isDone = false;
  try {
    policy = sharedBudget.openDecision(grant, prepared.shape, timer);
    entry?.judged();
    const done = await run(prepared, { policy, backend: lane, grant });
    isDone = true;
    const spending = policy.report();
    const cost = costOf(spending, timer, grant, sharedBudget.calibration);
    return { prepared, done, report: { finish: "stop", completionTokens: 0, grant, spending, cost } };
  } finally {
    policy?.abandon();
    held?.release(isDone);
  }
}
