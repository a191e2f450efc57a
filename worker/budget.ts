/**
 * The budget on the wire -> what everyone has said about a request, for the engine to merge and grant. Not here:
 * the wire form and its rules (wire-budget.ts), headers (budget-headers.ts), what a budget buys, spending it.
 */
import { mergeBudgets, type Budget, type BudgetSources } from "../engine/budget/budget.ts";
import type { Effort, ModelCard } from "../engine/model/card.ts";
import { headerBudget, type BudgetHeaders } from "./budget-headers.ts";
import { check, strictObject } from "./check.ts";
import { budgetEntries, toBudget } from "./wire-budget.ts";

/** What a request's body asks for; `budget` is checked later, as its ranges are the model's. */
export interface BudgetRequest {
  readonly effort: Effort | undefined;
  readonly budget: unknown;
  /** Most tokens to generate. */
  readonly maxTokens: number | undefined;
}

/** Budgets that come with a request outside of its body: that of the caller's key, and that of the headers. */
export interface CallerBudgets {
  readonly key?: Budget | undefined;
  readonly header?: BudgetHeaders | undefined;
}

/** The deployment's ceilings; a request can only stay below them. */
export interface DeploymentLimits {
  /** Largest request body. [default 64 KiB] */
  readonly maxBodyBytes: number;
  /** Most characters of a prompt, or of a decision's input and questions, in all. [default 32,768] */
  readonly maxPromptCharacters: number;
  /** Most tokens of a completion. [default 4,096, within the model's context] */
  readonly maxCompletionTokens: number;
  /** Most completions of one prompt, of those that `n` asks for. [default 128, as in OpenAI's API] */
  readonly maxChoices: number;
  /** Most iterations a token. [default 64, within the card's maxIterations] */
  readonly maxIterations: number;
  /** Most requests that are served, or wait to be, at once. [default 256] */
  readonly maxConcurrent: number;
  /** Time, money and all else that a budget can limit. [default nothing] */
  readonly budget: Budget;
}

export const DEFAULT_LIMITS: DeploymentLimits = {
  maxBodyBytes: 1 << 16,
  maxPromptCharacters: 1 << 15,
  maxCompletionTokens: 4096,
  maxChoices: 128,
  maxIterations: 64,
  maxConcurrent: 256,
  budget: {},
};

/** Everything that was said about a request. @throws {ApiError | FathomError} 400 naming the field and its range */
export function budgetSources(
  request: BudgetRequest,
  card: ModelCard,
  limits: DeploymentLimits,
  { key, header }: CallerBudgets,
): BudgetSources {
  const { effort, maxTokens } = request;
  return {
    ...(key && { key }),
    ...(header && { header: headerBudget(header, card), bounds: header.bounds }),
    ceiling: ceilingOf(limits),
    body: mergeBudgets(bodyBudget(request.budget, card), maxTokens === undefined ? {} : { tokens: maxTokens }),
    effort: effort === undefined ? {} : { iterations: card.effort[effort] },
  };
}

/**
 * The tightest `latency_ms` that anyone has set, known before the model is: what a caller can wait for a load, too. What
 * is wrong in the body or in X-Budget is said later, with the ranges.
 */
export function latencyMsOf(
  { budget }: Pick<BudgetRequest, "budget">,
  { budget: ceiling }: DeploymentLimits,
  { key, header }: CallerBudgets,
): number {
  const own = (budget as { latency_ms?: unknown } | null | undefined)?.latency_ms;
  return Math.min(
    ceiling.latencyMs ?? Infinity,
    key?.latencyMs ?? Infinity,
    (header && headerLatencyMs(header)) ?? Infinity,
    typeof own === "number" && own > 0 ? own : Infinity,
  );
}

function headerLatencyMs(header: BudgetHeaders): number | undefined {
  try {
    return mergeBudgets(headerBudget(header), header.bounds).latencyMs;
  } catch {
    return header.bounds.latencyMs; // it is refused once the model is known
  }
}

function ceilingOf({ maxCompletionTokens, maxIterations, budget }: DeploymentLimits): Budget {
  return mergeBudgets(
    budget,
    Number.isFinite(maxCompletionTokens) ? { tokens: maxCompletionTokens } : {},
    Number.isFinite(maxIterations) ? { iterations: maxIterations } : {},
  );
}

/** A model's rules, made once: making them takes as long as checking a body by them. */
const schemas = new WeakMap<ModelCard, ReturnType<typeof schemaOf>>();

function schemaOf(card: ModelCard) {
  return strictObject(budgetEntries(card), 'an object such as {"latency_ms": 150}');
}

function bodyBudget(json: unknown, card: ModelCard): Budget {
  const schema = schemas.get(card) ?? schemaOf(card);
  schemas.set(card, schema);
  return toBudget(check(schema, json ?? {}, "budget"), card);
}
