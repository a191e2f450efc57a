/**
 * Decisions: typed questions about an input, answered by what a model thinks of each option. Preparing checks all that
 * can be wrong and says what it will cost; deciding spends it. Not here: the wire, what may be spent (engine/budget).
 */
import { fixedDecisionPolicy, type DecisionPolicy, type DecisionShape } from "../decision-policy.ts";
import { FathomError } from "../errors.ts";
import type { ExitRule } from "../exit-rule.ts";
import { exitRuleOf, type ModelCard } from "../model/card.ts";
import type { Backend } from "../port/backend.ts";
import type { Model } from "../port/model.ts";
import { answerOf } from "./answers.ts";
import type { Decision } from "./decision.ts";
import { runPass, type LeafResult, type PassResult } from "./pass.ts";
import { cutPasses, shapeOf, type Pass } from "./passes.ts";
import { putQuestions } from "./prompt.ts";
import { checkRequest, type DecisionRequest } from "./question.ts";
import { readerOf, type Reader } from "./readers.ts";
import { PassSequences } from "./sequences.ts";
import { countTokens, type InputTree } from "./tree.ts";

/** Memory of a pass, in bytes: a third of what an isolate has for a model, so that others fit beside it. */
const PASS_BYTES = 32 * 1048576;

/** A request in tokens, cut into passes; nothing has been computed. */
export interface PreparedDecision {
  readonly model: Model;
  readonly trees: readonly InputTree[];
  readonly passes: readonly Pass[];
  readonly reader: Reader;
  /** What the decision costs at most, for a budget. */
  readonly shape: DecisionShape;
  readonly inputTokens: number;
}

export interface PrepareOptions {
  /** Most memory of a pass, in bytes; a larger decision takes several. [default 32 MiB] */
  readonly passBytes?: number;
}

/**
 * Puts a request into tokens and passes.
 * @throws {FathomError} invalid_request, context_overflow: all that can be wrong with it
 */
export function prepareDecision(model: Model, request: DecisionRequest, { passBytes = PASS_BYTES }: PrepareOptions = {}): PreparedDecision {
  checkRequest(request);
  const reader = readerOf(model.decisions, model.config);
  const trees = putQuestions(request, model);
  const passes = cutPasses(trees, reader, model.backend, passBytes);
  return { model, trees, passes, reader, shape: shapeOf(passes, reader), inputTokens: countTokens(trees) };
}

export interface DecideOptions {
  /** Most core iterations of a question. [default the card's] */
  readonly iterations?: number;
  /** When a question has thought enough. [default the card's] */
  readonly exit?: ExitRule;
  /** Decides depth pass by pass, in place of `iterations` and `exit`. [default those two] */
  readonly policy?: DecisionPolicy;
  /** The backend to compute on, such as a lane of a scheduler. [default the model's own] */
  readonly backend?: Backend;
  /** Fit, 0..1, below which an answer says that no option fits. [default the card's, else never] */
  readonly abstainBelow?: number;
  /** Ends the decision at the next iteration, which then throws the signal's reason. */
  readonly signal?: Pick<AbortSignal, "throwIfAborted">;
}

/** How a model's questions are thought about where nobody says otherwise. */
export function decisionDefaults({ decisions, iterations, exitRule }: ModelCard): { readonly iterations: number; readonly exit: ExitRule } {
  return { iterations: decisions?.iterations ?? iterations, exit: decisions?.exit === undefined ? exitRule : exitRuleOf(decisions.exit) };
}

/**
 * Answers typed questions about an input.
 *
 * Probabilities and fits are the same bits whatever the order of the options, the other questions or the load.
 * @throws {FathomError} invalid_request, context_overflow, out_of_memory: before any work; budget_exhausted, not_finite
 * @example
 * const { answers } = await decide(prepareDecision(model, {
 *   input: "I never received my refund!",
 *   questions: [{ kind: "predicate", instructions: "The customer is waiting for money." }],
 * }));
 * answers[0].probabilities; // [0.34]
 */
export async function decide(prepared: PreparedDecision, options: DecideOptions = {}): Promise<Decision> {
  const { model, passes, reader, trees } = prepared;
  const { backend = model.backend, signal } = options;
  const { iterations, exit } = { ...decisionDefaults(model.card), ...definedOf(options) };
  const policy = options.policy ?? fixedDecisionPolicy(iterations, exit);
  if (!Number.isInteger(policy.maxIterations) || policy.maxIterations < 1)
    throw new FathomError(
      "invalid_request",
      `Decisions take a whole number of iterations of at least 1, not ${policy.maxIterations}.`,
      "iterations",
    );
  const results = await runPasses(passes, { backend, reader, policy, check: () => signal?.throwIfAborted() });
  const leaves = results.flatMap((result) => result.leaves);
  const answers = trees
    .flatMap(({ questions }) => questions)
    .sort((a, b) => a.index - b.index)
    .map((question) =>
      answerOf(question, leavesOf(question.index, leaves), {
        temperatures: model.card.decisions?.temperatures,
        abstainBelow: options.abstainBelow ?? model.card.decisions?.fitThreshold,
      }),
    );
  const each = answers.map((answer) => answer.iterations);
  return {
    answers,
    form: model.decisions.name,
    usage: { inputTokens: prepared.inputTokens, cachedTokens: 0 },
    iterations: {
      total: sum(results.map((result) => result.iterations)),
      rowIterations: sum(results.map((result) => result.rowIterations)),
      mean: sum(each) / each.length,
      max: Math.max(...each),
      passes: passes.length,
    },
  };
}

/** One pass after the other. The next one's memory is taken before anybody else can ask for it. */
async function runPasses(passes: readonly Pass[], terms: Parameters<typeof runPass>[4]): Promise<PassResult[]> {
  const { backend, policy } = terms;
  const results: PassResult[] = [];
  let sequences = new PassSequences(backend, policy.maxIterations);
  try {
    for (const [index, pass] of passes.entries()) {
      sequences.close();
      sequences = new PassSequences(backend, policy.maxIterations);
      results.push(await runPass(pass, index, sequences.openInput(pass.tokens.length, pass.bytes), sequences, terms));
    }
  } finally {
    sequences.close();
  }
  return results;
}

function leavesOf(index: number, leaves: readonly LeafResult[]): LeafResult[] {
  return leaves.filter(({ question }) => question.index === index).sort((a, b) => a.leaf - b.leaf);
}

function definedOf({ iterations, exit }: DecideOptions): { iterations?: number; exit?: ExitRule } {
  return { ...(iterations !== undefined && { iterations }), ...(exit !== undefined && { exit }) };
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
