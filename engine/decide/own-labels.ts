/**
 * Which of a question's options a model has vectors of its own for: fitted to somebody's rows, they stand in place of what
 * the options' texts mean. Pure. Not here: how vectors are read (engine/model/labels.ts), or fitted (cli).
 */
import type { LabelSet } from "../model/labels.ts";
import type { AnswerTerms } from "./answers.ts";
import { sigmoid } from "./probabilities.ts";
import { wordingOf } from "./wording.ts";
import type { QuestionTree } from "./tree.ts";

/** The labels for a question: those of the same words before those that say no words. A predicate's words are what it asks. */
export function labelsFor({ question }: QuestionTree, sets: readonly LabelSet[]): LabelSet | undefined {
  const alike = sets.filter(({ kind }) => kind === question.kind);
  return alike.find(({ instructions }) => instructions === question.instructions.trim()) ?? alike.find((set) => set.instructions === null);
}

/** Whether all of a question's options have vectors of their own: then they alone decide. */
export function knowsAll({ labels }: LabelSet, { texts }: QuestionTree): boolean {
  return texts.every((text) => labels.has(text));
}

/** What turns the scores of a question that labels decide into an answer. */
export function labelTerms({ kind, temperature, fit, threshold }: LabelSet): {
  readonly temperatures: AnswerTerms["temperatures"];
  readonly threshold: number | undefined;
  readonly fitOf: (score: number) => number;
} {
  return {
    temperatures: { [kind]: { "1": temperature } },
    threshold,
    fitOf: (score) => sigmoid(fit.slope * score + fit.intercept),
  };
}

/**
 * Scores labels by what an input means and, where they were fitted to it, by its words: comparable with the match of an
 * option that has no vector of its own, less its bias. Undefined of a label that has none.
 * @param question the mapped state of a question about the input
 */
export function labelScorer(set: LabelSet | undefined, question: Float32Array, input: string): (text: string) => number | undefined {
  const { buckets, values } = set?.wording === undefined ? { buckets: [], values: [] } : wordingOf(input, set.wording);
  return (text) => {
    const label = set?.labels.get(text);
    if (label === undefined) return undefined;
    let dot = 0;
    for (let i = 0; i < question.length; i++) dot += question[i]! * label.vector[i]!;
    for (let i = 0; i < buckets.length; i++) dot += values[i]! * label.wording![buckets[i]!]!;
    return dot + label.bias;
  };
}
