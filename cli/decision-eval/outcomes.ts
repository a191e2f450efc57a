/**
 * What a model decided on labelled rows: one outcome a row, its classes in the order of the row's labels.
 */
import { decide, prepareDecision } from "../../engine/decide/decide.ts";
import type { Answer, DecisionRequest } from "../../engine/decide/question.ts";
import type { ExitRule } from "../../engine/exit-rule.ts";
import type { Model } from "../../engine/port/model.ts";
import type { DecisionRow } from "./rows.ts";

/** How deep questions are thought about. */
export interface Thinking {
  readonly iterations: number;
  readonly exit: ExitRule;
}

export interface Outcome {
  readonly row: DecisionRow;
  /** Probabilities by class. */
  readonly probabilities: readonly number[];
  /** Scores by class, before the temperature; of a predicate 0 and its score. */
  readonly scores: readonly number[];
  /** Index of the class answered. */
  readonly answer: number;
  /** How well the best option fits by itself, 0..1. */
  readonly fit: number;
  readonly iterations: number;
  readonly settledAt: number;
  readonly agreement: number;
  readonly ms: number;
}

export async function decideRow(model: Model, row: DecisionRow, thinking: Thinking): Promise<Outcome> {
  const start = performance.now();
  const [answer] = await answersTo(model, { input: row.input, questions: [row.question] }, thinking);
  const { fits, iterations, settledAt, agreement } = answer!;
  return { row, ...classesOf(answer!), fit: Math.max(...fits), iterations, settledAt, agreement, ms: performance.now() - start };
}

export async function answersTo(model: Model, request: DecisionRequest, thinking: Thinking): Promise<readonly Answer[]> {
  return (await decide(prepareDecision(model, request), thinking)).answers;
}

/** A predicate as the two classes that it has. */
export function classesOf({
  kind,
  probabilities,
  fitScores,
  best,
}: Pick<Answer, "kind" | "probabilities" | "fitScores" | "best">): Pick<Outcome, "probabilities" | "scores" | "answer"> {
  if (kind !== "predicate") return { probabilities, scores: fitScores, answer: best };
  const [p, score] = [probabilities[0]!, fitScores[0]!];
  return { probabilities: [1 - p, p], scores: [0, score], answer: Number(p >= 0.5) };
}

/** Rows that something fits. */
export function inScope(outcomes: readonly Outcome[]): (Outcome & { readonly gold: number; readonly isRight: boolean })[] {
  return outcomes.flatMap((outcome) => {
    const { gold } = outcome.row;
    return gold === undefined ? [] : [{ ...outcome, gold, isRight: gold === outcome.answer }];
  });
}

/** Sorts outcomes into an order that depends on the rows alone, so that seeded samples of a shuffled file are the same. */
export function inFixedOrder(outcomes: readonly Outcome[]): Outcome[] {
  const keyOf = ({ row: { task, input, question, gold } }: Outcome): string => JSON.stringify([task, input, question, gold]);
  return outcomes
    .map((outcome) => ({ outcome, key: keyOf(outcome) }))
    .sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)))
    .map(({ outcome }) => outcome);
}
