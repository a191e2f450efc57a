/**
 * One decision: a request without a wire and a model -> answers and what they cost. Both APIs, RPC and every route come
 * here. Knows nothing of HTTP or of wire shapes, as complete.ts does not.
 */
import { decide, prepareDecision, withPrefixes, type PreparedDecision } from "../../engine/decide/decide.ts";
import { passCache } from "../../engine/decide/passes.ts";
import type { Question } from "../../engine/decide/question.ts";
import type { Model } from "../../engine/port/model.ts";
import type { PrefixHold } from "../../engine/schedule/prefix-cache.ts";
import type { CompletionSettings } from "../completion.ts";
import { sharing } from "../prefix-settings.ts";
import { runPlanned, type HeldWork, type SharedTerms } from "../planned-work.ts";
import type { DecisionReport, WireDecision } from "./request.ts";

/**
 * Everything that can be wrong with the request is thrown before any work.
 * @throws {ApiError | FathomError} and the signal's reason, at the next iteration
 */
export async function runDecision(model: Model, request: WireDecision, settings: CompletionSettings): Promise<DecisionReport> {
  const { input, questions, abstainBelow } = request;
  const { signal } = settings;
  const { done: decision, report } = await runPlanned(model, request, settings, {
    lengths: [
      { param: "input", characters: input.length },
      ...questions.map((question, i) => ({ param: `questions[${i}]`, characters: questionLength(question) })),
    ],
    prepare: ({ exit }) => prepareDecision(model, request, { exit }),
    hold: (prepared, terms) => holdInputs(prepared, request, settings, terms),
    run: (prepared, { policy, backend, grant }) =>
      decide(prepared, { policy, exit: grant.exit, backend, signal, ...(abstainBelow !== undefined && { abstainBelow }) }),
  });
  const { total, mean, max, passes } = decision.iterations;
  const iterations = { total, mean, max, saved: passes * report.grant.iterations - total };
  const { inputTokens: promptTokens, cachedTokens } = decision.usage;
  return { ...report, decision, promptTokens, cachedTokens, iterations };
}

/** Inputs take over what those of earlier requests that begin alike have left, by the rules of prompts (complete.ts). */
function holdInputs(
  prepared: PreparedDecision,
  { cacheKey }: WireDecision,
  settings: CompletionSettings,
  { lane, prefixes, grant, isCovered }: SharedTerms,
): HeldWork<PreparedDecision> {
  const holds: PrefixHold[] = [];
  const find = (tokens: readonly number[], coda: "none" | "last" | "each"): PrefixHold => {
    const hold = prefixes.find(lane, tokens, {
      ...sharing(settings, cacheKey, "decisions"),
      exit: grant.exit,
      cache: passCache(lane.config),
      iterations: coda === "none" ? 1 : Math.min(grant.iterations, grant.totalIterations),
      onlyKeeps: !isCovered,
      coda,
    });
    holds.push(hold);
    return hold;
  };
  return {
    prepared: withPrefixes(prepared, find),
    release: (succeeded) => {
      for (const hold of holds) hold.release(succeeded);
    },
  };
}

/** Characters of a question with its options. */
function questionLength(question: Question): number {
  const options = "options" in question ? question.options : [];
  return question.instructions.length + options.reduce((sum, { text }) => sum + text.length, 0);
}
