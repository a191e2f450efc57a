/**
 * Makes tokens of typed questions, as the model's form wants them put. Callers' texts never become control tokens, and
 * identifiers, values and labels of the wire never come here. Options stand in the order of their texts, whatever the
 * order asked. Not here: what is read off the rows (readers.ts).
 */
import { FathomError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import type { DecisionForm, DecisionMarkers } from "../model/decisions.ts";
import type { TextCodec } from "../model/tokenizer.ts";
import { optionTexts, UNSAID, type DecisionRequest, type Question } from "./question.ts";
import { distinct, type InputTree, type QuestionTree } from "./tree.ts";

/** What a statement may be, to a model that answers in text; the first is its probability. */
const PREDICATE_TEXTS: readonly string[] = ["Yes", "No"];

/** What a form needs of a model. */
export interface PromptTerms {
  readonly decisions: DecisionForm;
  readonly text: TextCodec;
  readonly config: ModelConfig;
}

/**
 * Puts a request into tokens.
 * @throws {FathomError} invalid_request (more options than letters, an empty input to a model that cannot have one),
 *   context_overflow: nothing is ever cut
 */
export function putQuestions(request: DecisionRequest, terms: PromptTerms): InputTree[] {
  const { decisions } = terms;
  const trees = decisions.name === "branches" ? [branchTree(request, decisions.markers, terms)] : textTrees(request, terms);
  for (const tree of trees) checkContext(tree, terms.config);
  return trees;
}

/** begin input | question instructions | option text fits */
function branchTree({ input, questions }: DecisionRequest, markers: DecisionMarkers, { text }: PromptTerms): InputTree {
  const { begin, question: asks, option, fits } = markers;
  const put = (written: string): number[] => (written.trim() === "" ? [] : text.encodePart(` ${written.trim()}`));
  const tokens = [...(begin === undefined ? [] : [begin]), ...naming("input", () => text.encodePart(input))];
  if (tokens.length === 0) throw new FathomError("invalid_request", "The input is empty; give some text.", "input");
  return {
    tokens,
    questions: questions.map((question, index) =>
      naming(`questions[${index}]`, () => {
        const texts = distinct(optionTexts(question));
        return {
          question,
          index,
          texts,
          tokens: [asks, ...put(asked(question))],
          leaves: texts.map((option_) => [option, ...put(option_), fits]),
        };
      }),
    ),
  };
}

/** Questions to a model that answers in text. Those whose prompts begin alike, as the input alone makes them, share its rows. */
function textTrees({ input, questions }: DecisionRequest, terms: PromptTerms): InputTree[] {
  const shared = naming("input", () => sharedPrefix(input, terms));
  const behind: QuestionTree[] = [];
  const alone: InputTree[] = [];
  questions.forEach((question, index) => {
    const { texts, prompt, leaves } = naming(`questions[${index}]`, () => putText(input, question, index, terms));
    const isShared = shared.length > 0 && shared.every((token, i) => prompt[i] === token);
    const tree = { question, index, texts, leaves };
    if (isShared) behind.push({ ...tree, tokens: prompt.slice(shared.length) });
    else alone.push({ tokens: prompt, questions: [{ ...tree, tokens: [] }] });
  });
  return behind.length === 0 ? alone : [{ tokens: shared, questions: behind }, ...alone];
}

/** A blank question is none by likelihood: the options are what may follow the input. */
function asked({ kind, instructions }: Question): string {
  return instructions.trim() === "" ? UNSAID[kind] : instructions;
}

interface PutText {
  readonly texts: readonly string[];
  readonly prompt: readonly number[];
  readonly leaves: readonly (readonly number[])[];
}

function putText(input: string, question: Question, index: number, { decisions, text }: PromptTerms): PutText {
  const texts = question.kind === "predicate" ? PREDICATE_TEXTS : distinct(optionTexts(question));
  if (decisions.name !== "letters") {
    const prompt = encodePrompt(text, [input, question.instructions]);
    return { texts, prompt, leaves: texts.map((option) => likelyTokens(text, option, `questions[${index}]`)) };
  }
  const { letters } = decisions;
  if (texts.length > letters.length)
    throw new FathomError(
      "invalid_request",
      `Question ${index} has ${texts.length} options; this model decides by letters and has ${letters.length} of them. Ask with fewer options, or a model that decides by branches.`,
      `questions[${index}]`,
    );
  const isStatement = question.kind === "predicate" && question.instructions.trim() !== "";
  const ask = isStatement ? `Is the following true? ${question.instructions}` : asked(question);
  const lettered = texts.map((option, i) => `${String.fromCharCode(65 + i)}: ${option}`);
  const lines = [`Question: ${ask}`, ...lettered, "Answer with the letter of one option only."].join("\n");
  return { texts, prompt: encodePrompt(text, [input, lines]), leaves: [[]] };
}

function encodePrompt(text: TextCodec, parts: readonly string[]): number[] {
  const content = parts.filter((part) => part.trim() !== "").join("\n\n");
  return text.encodeChat([{ role: "user", content }]);
}

/** An option as the model would write it behind a prompt. */
function likelyTokens(text: TextCodec, option: string, param: string): number[] {
  const tokens = text.encodePart(` ${option}`);
  if (tokens.length === 0 || option === "")
    throw new FathomError("invalid_request", "An option is empty; this model decides by how likely its text is.", param);
  return tokens;
}

/** What prompts over an input begin with, whatever is asked: independent of the questions, so that none changes another's rows. */
function sharedPrefix(input: string, { decisions, text }: PromptTerms): number[] {
  const probe = (asked: string): number[] => encodePrompt(text, [input, decisions.name === "letters" ? `Question: ${asked}` : asked]);
  const [one, other] = [probe("a"), probe("1")];
  const differs = one.findIndex((token, i) => token !== other[i]);
  return differs < 0 ? one : one.slice(0, differs);
}

/** Names the part of a request that a tokenizer refuses before it is made into tokens, as far too long for any context. */
export function naming<T>(param: string, put: () => T): T {
  try {
    return put();
  } catch (error) {
    if (!(error instanceof FathomError) || error.code !== "context_overflow") throw error;
    throw new FathomError("context_overflow", error.message, param, { cause: error });
  }
}

/** @throws {FathomError} context_overflow */
function checkContext({ tokens, questions }: InputTree, { contextLength }: ModelConfig): void {
  for (const question of questions) {
    const longest = Math.max(0, ...question.leaves.map((leaf) => leaf.length));
    const length = tokens.length + question.tokens.length + longest;
    if (length > contextLength)
      throw new FathomError(
        "context_overflow",
        `Input, question ${question.index} and its longest option are ${length} tokens, more than the model's context of ${contextLength}; shorten ${tokens.length >= length / 2 ? "the input" : "the question"}.`,
        tokens.length >= length / 2 ? "input" : `questions[${question.index}]`,
      );
  }
}
