/**
 * What both APIs of decisions come to: a request without a wire, and how its answer is written in the shape it came in.
 * Not here: the shapes themselves (openai.ts, systemone.ts), running it (decide.ts).
 */
import * as v from "valibot";
import type { Decision } from "../../engine/decide/decision.ts";
import type { Answer, Question } from "../../engine/decide/question.ts";
import type { BudgetRequest } from "../budget.ts";
import { number, strictObject } from "../check.ts";
import type { CompletionReport } from "../completion.ts";
import { ApiError } from "../errors.ts";
import { costs } from "../openai.ts";
import type { DecisionsObject } from "../wire-decisions.ts";

export interface WireDecision extends BudgetRequest {
  /** Name of the model. */
  readonly model: string;
  /** What the questions are about, as the model reads it. */
  readonly input: string;
  readonly questions: readonly Question[];
  /** Fit below which an answer counts as none. [default the engine's] */
  readonly abstainBelow: number | undefined;
  /** Decisions of different keys take over no input from each other. */
  readonly cacheKey: string | undefined;
}

/** What a decision came to, and what it cost. */
export interface DecisionReport extends CompletionReport {
  readonly decision: Decision;
}

export interface ParsedDecision {
  readonly request: WireDecision;
  /** The response's body; Maps in it are objects whose keys keep their order. @param model its own name, not an alias */
  respond(model: string, report: DecisionReport): object;
  /** The API's own name of a field that the engine calls `input` or `questions[0]`. [default the same] */
  rename?(param: string): string;
}

/** Most questions about one input, and options of a choice and levels of a score. */
export const MOST = { questions: 400, choices: 255, levels: 10 } as const;

/** Fathom's own fields, the same in both APIs. */
export const OWN_FIELDS = {
  budget: v.optional(v.unknown()),
  abstain: v.nullish(
    strictObject(
      { fit: number(0, 1), refuse: v.nullish(v.boolean("true or false"), true) },
      'an object such as {"fit": 0.5}, with refuse: false to have it reported only',
    ),
  ),
};

/** A body with the model's name in it, where that came another way. */
export function withModel(body: unknown, model: string | undefined): unknown {
  return model === undefined || typeof body !== "object" || body === null ? body : { ...body, model };
}

/** @param field where the input came from, for the message. @throws {ApiError} 400 empty_prompt */
export function refuseBlank(input: string, field: string): void {
  if (input.trim() === "") throw new ApiError(400, "empty_prompt", `${field} is empty; give it some text.`, field);
}

type OwnFields = { [Field in keyof typeof OWN_FIELDS]?: v.InferOutput<(typeof OWN_FIELDS)[Field]> };

export function ownFields({ budget, abstain }: OwnFields): Pick<WireDecision, "effort" | "budget" | "maxTokens" | "abstainBelow"> {
  return { effort: undefined, maxTokens: undefined, budget, abstainBelow: abstain?.fit };
}

/** What is said of an answer beside the API's own fields. */
export function answerFields({ fits, iterations, settledAt, agreement, labelMass, abstained }: Answer): object {
  return {
    x_iterations: iterations,
    x_settled_at: settledAt,
    x_agreement: agreement,
    x_fit: Math.max(...fits),
    ...(labelMass !== undefined && { x_label_mass: labelMass }),
    x_abstained: abstained,
  };
}

/** What is said of the whole decision: what was granted and what it cost, as completions report it, and how it was made. */
export function reportFields(report: DecisionReport): Pick<DecisionsObject, "x_budget" | "x_form"> {
  const {
    usage: { iterations, work_units, cost_usd },
    budget,
  } = costs(report);
  const { max_completion_tokens: _none, ...granted } = budget.granted;
  return { x_budget: { ...budget, granted, iterations, work_units, cost_usd }, x_form: report.decision.form };
}
