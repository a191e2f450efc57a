/**
 * A decision as rows: an input, the questions behind it, what stands behind each question. Every question sees the input
 * and itself, every leaf its question besides; so all of them are what they would be alone. Data, and how it is cut into
 * passes is passes.ts.
 */
import type { Question } from "./question.ts";

export interface QuestionTree {
  readonly question: Question;
  /** Index in the request. */
  readonly index: number;
  /** The options' texts, each once, in the order of their UTF-16 units; so nothing depends on the order asked. */
  readonly texts: readonly string[];
  /** Tokens behind the input's; may be none. */
  readonly tokens: readonly number[];
  /** Tokens behind the question's, each list a leaf of its own; a leaf without tokens is the question itself. */
  readonly leaves: readonly (readonly number[])[];
}

/** An input and the questions that share its rows. */
export interface InputTree {
  /** Token ids of the input, at least one. */
  readonly tokens: readonly number[];
  readonly questions: readonly QuestionTree[];
}

/** Each text once, in the order of its UTF-16 units. */
export function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort((a, b) => (a < b ? -1 : 1));
}

/** Tokens of a decision, each counted once. */
export function countTokens(trees: readonly InputTree[]): number {
  const ofQuestion = ({ tokens, leaves }: QuestionTree): number => leaves.reduce((sum, leaf) => sum + leaf.length, tokens.length);
  return trees.reduce((sum, { tokens, questions }) => sum + questions.reduce((all, q) => all + ofQuestion(q), tokens.length), 0);
}
