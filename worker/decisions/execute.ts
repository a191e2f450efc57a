/**
 * One decision: a request without a wire and a model -> answers and what they cost. Both APIs, RPC and every route come
 * here. Knows nothing of HTTP or of wire shapes, as complete.ts does not.
 */
import type { Grant } from "../../engine/budget/grant.ts";
import { costOf } from "../../engine/budget/report.ts";
import type { SharedBudget } from "../../engine/budget/shared-budget.ts";
import { decide, decisionDefaults, prepareDecision } from "../../engine/decide/decide.ts";
import type { Question } from "../../engine/decide/question.ts";
import type { Model } from "../../engine/port/model.ts";
import { budgetSources, type DeploymentLimits } from "../budget.ts";
import type { CompletionSettings } from "../complete.ts";
import { patience } from "../host.ts";
import { refuseLong } from "../prompt-tokens.ts";
import { arrivalOf, refuseCrowded, sharedBy } from "../schedulers.ts";
import type { DecisionReport, WireDecision } from "./request.ts";

/**
 * Everything that can be wrong with the request is thrown before any work.
 * @throws {ApiError | FathomError} and the signal's reason, at the next iteration
 */
export async function runDecision(model: Model, request: WireDecision, settings: CompletionSettings): Promise<DecisionReport> {
  const { breathe, clock, signal, arrivedMs = clock.now() } = settings;
  const { scheduler, sharedBudget } = sharedBy(model, clock);
  const sinceMs = arrivalOf(arrivedMs, clock, scheduler);
  refuseCrowded(sharedBudget, settings.limits);
  const timer = sharedBudget.arrive(sinceMs);
  sharedBudget.countText(readLengths(request, settings.limits));
  const prepared = prepareDecision(model, request);
  const grant = grantOf(model, sharedBudget, request, settings);
  const controller = sharedBudget.openDecision(grant, prepared.shape, timer);
  const backend = scheduler.lane({
    deadlineMs: sinceMs + grant.latencyMs,
    flow: settings.caller,
    yieldToHost: breathe,
    patience,
    isOverdue: () => controller.isOverdue,
  });
  try {
    const { abstainBelow } = request;
    const decision = await decide(prepared, {
      policy: controller,
      exit: grant.exit,
      backend,
      signal,
      ...(abstainBelow !== undefined && { abstainBelow }),
    });
    const spending = controller.report();
    const { total, mean, max, passes } = decision.iterations;
    return {
      decision,
      finish: "stop",
      promptTokens: decision.usage.inputTokens,
      cachedTokens: decision.usage.cachedTokens,
      completionTokens: 0,
      iterations: { total, mean, max, saved: passes * grant.iterations - total },
      grant,
      spending,
      cost: costOf(spending, timer, grant, sharedBudget.calibration),
    };
  } finally {
    controller.abandon();
  }
}

/**
 * Characters of everything that the model reads.
 * @throws {ApiError} 400 string_above_max_length, for the input or a question with its options
 */
function readLengths({ input, questions }: WireDecision, { maxPromptCharacters }: DeploymentLimits): number {
  const lengths = [
    { param: "input", characters: input.length },
    ...questions.map((question, i) => ({ param: `questions[${i}]`, characters: questionLength(question) })),
  ];
  for (const { param, characters } of lengths) refuseLong(characters, maxPromptCharacters, param);
  return lengths.reduce((sum, { characters }) => sum + characters, 0);
}

function questionLength(question: Question): number {
  const options = "options" in question ? question.options : [];
  return question.instructions.length + options.reduce((sum, { text }) => sum + text.length, 0);
}

function grantOf(model: Model, sharedBudget: SharedBudget, request: WireDecision, settings: CompletionSettings): Grant {
  const { card } = model;
  const sources = budgetSources(request, card, settings.limits, settings.callerBudgets ?? {});
  return sharedBudget.grant(sources, { ...decisionDefaults(card), maxIterations: card.maxIterations, tokens: 1 }, settings.price);
}
