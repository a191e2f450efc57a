/**
 * Typed questions about a text, and their answers: data only. Not here: the wire's names for them (values, labels,
 * descriptions, ids), which never reach a model, and how they are answered (decide.ts).
 */
import { FathomError } from "../errors.ts";

/** What the model reads of an option; two options may read the same. */
export interface Option {
  readonly text: string;
}

/** Does a statement hold? */
export interface PredicateQuestion {
  readonly kind: "predicate";
  readonly instructions: string;
}

/** Which of several options fits best? */
export interface ChoiceQuestion {
  readonly kind: "choice";
  readonly instructions: string;
  /** Options, at least one. */
  readonly options: readonly Option[];
}

/** Where on a scale? */
export interface ScoreQuestion {
  readonly kind: "score";
  readonly instructions: string;
  /** The levels, lowest first; at least one. */
  readonly options: readonly Option[];
}

/** A typed question: whether something holds, which of some options, or how much. */
export type Question = PredicateQuestion | ChoiceQuestion | ScoreQuestion;

/** The name of a question's type: predicate, choice or score. */
export type QuestionKind = Question["kind"];

/** Questions about one input, each answered by itself. */
export interface DecisionRequest {
  /** What the questions are about. */
  readonly input: string;
  /** Questions, at least one; none of them sees another. */
  readonly questions: readonly Question[];
}

/** A question's answer. Nothing in it depends on the order of the options, on other questions or on load. */
export interface Answer {
  readonly kind: QuestionKind;
  /** Probability of each option, in the order asked, summing to 1; of a predicate one number: that it holds. */
  readonly probabilities: readonly number[];
  /**
   * What probabilities are made of, before the temperature: of each option a logit or a mean log-probability; of a
   * predicate one number, positive where it rather holds.
   */
  readonly fitScores: readonly number[];
  /** How well each option fits by itself, 0..1, whatever the others do; of a predicate one number. */
  readonly fits: readonly number[];
  /** Index of the most probable option; of equals the one whose text comes first. A predicate's is 0. */
  readonly best: number;
  /** A score's expectation: level index times probability, summed. Undefined for the other kinds. */
  readonly score: number | undefined;
  /** Core iterations of the option that was thought about longest. */
  readonly iterations: number;
  /** The iteration from which on the answer (most probable option, or a predicate's side of one half) stayed the same. */
  readonly settledAt: number;
  /**
   * How far the last iterations agree, 0..1: the final probabilities' overlap (1 - total variation) with those of up to
   * four iterations before, on average. 1 where there was only one iteration.
   */
  readonly agreement: number;
  /** The answer after each iteration at which it was read, the last included; ascending. */
  readonly history: readonly AnswerPoint[];
  /** Share of the next token's probability that the labels have. Undefined where the model decides by other means. */
  readonly labelMass: number | undefined;
  /** No option fits as well as the threshold asks. Never of predicates, to which "no" is an answer. */
  readonly abstained: boolean;
}

/** What an answer would have been, had it ended earlier. */
export interface AnswerPoint {
  readonly iteration: number;
  readonly fitScores: readonly number[];
  readonly probabilities: readonly number[];
}

/** What is asked where a question's instructions are blank, of a model that does not simply go on where the input ends. */
export const UNSAID = { predicate: "Is this true?", choice: "Which of these fits best?", score: "Which level fits best?" } as const;

/** The texts that a question's model reads as options: a predicate has one, without text. */
export function optionTexts(question: Question): readonly string[] {
  return question.kind === "predicate" ? [""] : question.options.map(({ text }) => text.trim());
}

/** @throws {FathomError} invalid_request naming the question */
export function checkRequest({ questions }: DecisionRequest): void {
  if (questions.length === 0) throw new FathomError("invalid_request", "There are no questions; ask at least one.", "questions");
  questions.forEach((question, i) => {
    if (question.kind !== "predicate" && question.options.length === 0)
      throw new FathomError(
        "invalid_request",
        `Question ${i} is a ${question.kind} without options; give at least one.`,
        `questions[${i}]`,
      );
  });
}
