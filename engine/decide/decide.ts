/**
 * Decisions: typed questions about an input, answered by what a model thinks of each option. Preparing checks all that
 * can be wrong and says what it will cost; deciding spends it. Not here: the wire, what may be spent (engine/budget).
 */
import { fixedDecisionPolicy, type DecisionPolicy, type DecisionShape } from "../decision-policy.ts";
import { FathomError } from "../errors.ts";
import { NEVER_EXIT, type ExitRule } from "../exit-rule.ts";
import { exitRuleOf, type ModelCard } from "../model/card.ts";
import type { MatchWeights } from "../model/match.ts";
import type { Backend } from "../port/backend.ts";
import type { Model } from "../port/model.ts";
import type { PromptPrefix } from "../port/prefix.ts";
import { answerOf, temperatureOf, type AnswerTerms } from "./answers.ts";
import type { Decision } from "./decision.ts";
import { candidatesOf, withMatch } from "./match.ts";
import { isLabelled, planMatch, runMatch, withQuestionPasses, type MatchPlan } from "./match-pass.ts";
import { labelTerms } from "./own-labels.ts";
import { OptionVectors } from "./option-vectors.ts";
import { runPass, type LeafResult, type PassResult, type PassTerms } from "./pass.ts";
import { cutPasses, shapeOf, type Pass, type PassQuestion } from "./passes.ts";
import { softmax } from "./probabilities.ts";
import { putQuestions } from "./prompt.ts";
import { checkRequest, type DecisionRequest } from "./question.ts";
import { readerOf, type Reader } from "./readers.ts";
import { PassSequences } from "./sequences.ts";
import { countTokens, type InputTree, type QuestionTree } from "./tree.ts";

/** Memory of a pass, in bytes: a third of what an isolate has for a model, so that others fit beside it. */
const PASS_BYTES = 32 * 1048576;

/** A request in tokens, cut into passes; nothing has been computed. */
export interface PreparedDecision {
  readonly model: Model;
  readonly trees: readonly InputTree[];
  readonly passes: readonly Pass[];
  readonly reader: Reader;
  /** Where the model chooses which options to think about. Passes then hold the longest options, in whose place the chosen come. */
  readonly match: MatchPlan | undefined;
  /** What the decision costs at most, for a budget. */
  readonly shape: DecisionShape;
  readonly inputTokens: number;
  /** Input tokens that are taken over from earlier inputs. */
  readonly cachedTokens: number;
}

/** How a decision is cut into passes. */
export interface PrepareOptions {
  /** Most memory of a pass, in bytes; a larger decision takes several. [default 32 MiB] */
  readonly passBytes?: number;
  /** The exit rule that it will run by: `rest-wake` takes more memory a row than others. [default the card's] */
  readonly exit?: ExitRule;
}

/**
 * Puts a request into tokens and passes.
 * @throws {FathomError} invalid_request, context_overflow: all that can be wrong with it
 */
export function prepareDecision(model: Model, request: DecisionRequest, options: PrepareOptions = {}): PreparedDecision {
  const { passBytes = PASS_BYTES, exit = decisionDefaults(model.card).exit } = options;
  checkRequest(request);
  const reader = readerOf(model.decisions, model.config);
  const trees = putQuestions(request, model);
  const { match: weights, labels: sets = [] } = model.decisions.name === "branches" ? model.decisions : {};
  const match =
    weights &&
    planMatch(trees, { weights, vectors: vectorsOf(weights, model.backend), sets, input: request.input }, model.backend, passBytes);
  const leavesOf =
    match && ((question: QuestionTree): number[] => (isLabelled(match, question) ? [] : longest(question, match.weights.candidates)));
  const passes = cutPasses(trees, reader, model.backend, passBytes, exit.criterion === "rest-wake", leavesOf);
  const shape = wholeShape(match, passes, reader);
  return { model, trees, passes, reader, match, shape, inputTokens: countTokens(trees), cachedTokens: 0 };
}

function wholeShape(match: MatchPlan | undefined, passes: readonly Pass[], reader: Reader): DecisionShape {
  return { passes: [...(match?.shapes ?? []), ...shapeOf(passes, reader).passes] };
}

/**
 * The decision with inputs that take over what earlier ones have computed, and are left to later ones: the same answers
 * for less.
 * @param find gives what there is for an input, for as many iterations and by the exit rule that the decision will run by;
 *   for one iteration where nothing is read of the coda
 */
export function withPrefixes(
  prepared: PreparedDecision,
  find: (tokens: readonly number[], coda: "none" | "last" | "each") => PromptPrefix,
): PreparedDecision {
  const { trees, reader } = prepared;
  const coda = prepared.passes.length === 0 ? "none" : reader.readsAlways ? "each" : "last";
  const prefixOf = new Map(trees.map(({ tokens }) => [tokens, find(tokens, coda)]));
  const kept = new Set<readonly number[]>();
  /** One pass is enough to leave an input to others: the first that is read, as it serves those that are not. */
  const share = (pass: Pass): Pass => {
    const prefix = prefixOf.get(pass.tokens)!;
    if (kept.has(pass.tokens)) return { ...pass, prefix: { ...prefix, keepIterations: undefined } };
    kept.add(pass.tokens);
    return { ...pass, prefix };
  };
  const passes = prepared.passes.map((pass) => share(pass));
  const match =
    prepared.match &&
    withQuestionPasses(
      prepared.match,
      prepared.match.questionPasses.map((pass) => share(pass)),
    );
  const cachedTokens = sum(Array.from(prefixOf.values(), ({ found }) => found?.length ?? 0));
  return { ...prepared, passes, match, shape: wholeShape(match, passes, reader), cachedTokens };
}

/** Options' vectors, as long as the weights that made them. */
const optionVectors = new WeakMap<MatchWeights, OptionVectors>();

function vectorsOf(weights: MatchWeights, backend: Backend): OptionVectors {
  const vectors = optionVectors.get(weights) ?? new OptionVectors(backend);
  optionVectors.set(weights, vectors);
  return vectors;
}

/** How `decide` spends depth, and on what. */
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

/** How a model's questions are thought about where nobody says otherwise. A gate that was learned for tokens says nothing of them. */
export function decisionDefaults({ decisions, iterations, exitRule }: ModelCard): { readonly iterations: number; readonly exit: ExitRule } {
  const usual = exitRule.criterion === "gate" ? NEVER_EXIT : exitRule;
  return { iterations: decisions?.iterations ?? iterations, exit: decisions?.exit === undefined ? usual : exitRuleOf(decisions.exit) };
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
  const { model, reader, trees, match } = prepared;
  const { backend = model.backend, signal } = options;
  const { iterations, exit } = { ...decisionDefaults(model.card), ...definedOf(options) };
  const policy = options.policy ?? fixedDecisionPolicy(iterations, exit);
  if (!Number.isInteger(policy.maxIterations) || policy.maxIterations < 1)
    throw new FathomError(
      "invalid_request",
      `Decisions take a whole number of iterations of at least 1, not ${policy.maxIterations}.`,
      "iterations",
    );
  const matches = match === undefined ? new Map<number, number[]>() : await runMatch(match, backend, policy);
  const { temperatures } = model.card.decisions ?? {};
  const offset = match?.shapes.length ?? 0;
  const planned = prepared.passes.map((pass, i) => ({ pass, index: offset + i }));
  const passes = match === undefined ? planned : choose(planned, matches, match.weights, temperatures);
  const results = await runPasses(passes, { backend, reader, policy, check: () => signal?.throwIfAborted() });
  const leaves = results.flatMap((result) => result.leaves);
  const labelled = (question: QuestionTree) =>
    match && isLabelled(match, question) ? labelTerms(match.labels.get(question.index)!) : undefined;
  const leavesOf = (question: QuestionTree): LeafResult[] => {
    const own = leaves.filter((leaf) => leaf.question.index === question.index).sort((a, b) => a.leaf - b.leaf);
    const scores = matches.get(question.index);
    return scores === undefined ? own : withMatch(question, own, scores, labelled(question)?.fitOf);
  };
  const answers = trees
    .flatMap(({ questions }) => questions)
    .sort((a, b) => a.index - b.index)
    .map((question) =>
      answerOf(question, leavesOf(question), {
        temperatures: labelled(question)?.temperatures ?? temperatures,
        abstainBelow: options.abstainBelow ?? labelled(question)?.threshold ?? model.card.decisions?.fitThreshold,
      }),
    );
  const each = answers.map((answer) => answer.iterations);
  return {
    answers,
    form: model.decisions.name,
    usage: { inputTokens: prepared.inputTokens, cachedTokens: prepared.cachedTokens },
    iterations: {
      total: offset + sum(results.map((result) => result.iterations)),
      rowIterations: sum((match?.shapes ?? []).map(({ rows }) => rows.rows)) + sum(results.map((result) => result.rowIterations)),
      saved: sum(results.map((result) => result.limit - result.iterations)),
      mean: sum(each) / each.length,
      max: Math.max(...each),
      passes: offset + passes.length,
    },
  };
}

/** A question's longest options: the dearest that could be chosen. */
function longest({ question, leaves }: QuestionTree, candidates: number): number[] {
  const indices = leaves.map((_, i) => i);
  return question.kind === "predicate" ? indices : byLength(indices, leaves).slice(0, candidates);
}

function byLength(indices: readonly number[], leaves: readonly (readonly number[])[]): number[] {
  return indices.toSorted((a, b) => leaves[b]!.length - leaves[a]!.length || a - b);
}

/** A pass, and its place among all that were planned. */
interface PlannedPass {
  readonly pass: Pass;
  readonly index: number;
}

/**
 * Passes with the options that match best in place of the longest, as the n-th longest of them is no longer than the n-th
 * of all; without the questions that match has settled.
 */
function choose(
  passes: readonly PlannedPass[],
  matches: ReadonlyMap<number, readonly number[]>,
  { candidates, settled = Infinity }: MatchWeights,
  temperatures: AnswerTerms["temperatures"],
): PlannedPass[] {
  const chosenFor = ({ question, leaves }: PassQuestion): number[] => {
    const scores = matches.get(question.index);
    if (scores === undefined) return [...leaves];
    const surest = Math.max(...softmax(scores, temperatureOf(temperatures?.[question.question.kind], scores.length)));
    if (surest >= settled) return [];
    const places = longest(question, candidates);
    const chosen = byLength(candidatesOf(scores, candidates), question.leaves);
    return leaves.map((leaf) => chosen[places.indexOf(leaf)]!);
  };
  return passes
    .map(({ pass, index }) => {
      const questions = pass.questions.map((of) => ({ ...of, leaves: chosenFor(of) })).filter(({ leaves }) => leaves.length > 0);
      return { pass: { ...pass, questions }, index };
    })
    .filter(({ pass }) => pass.questions.length > 0);
}

/** One pass after the other. The next one's memory is taken before anybody else can ask for it. */
async function runPasses(passes: readonly PlannedPass[], terms: PassTerms): Promise<PassResult[]> {
  const { backend, policy } = terms;
  const results: PassResult[] = [];
  let sequences = new PassSequences(backend, policy.maxIterations);
  try {
    for (const { pass, index } of passes) {
      sequences.close();
      sequences = new PassSequences(backend, policy.maxIterations);
      results.push(await runPass(pass, index, sequences, terms));
    }
  } finally {
    sequences.close();
  }
  return results;
}

function definedOf({ iterations, exit }: DecideOptions): { iterations?: number; exit?: ExitRule } {
  return { ...(iterations !== undefined && { iterations }), ...(exit !== undefined && { exit }) };
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
