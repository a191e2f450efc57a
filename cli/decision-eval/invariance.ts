/**
 * What should change no answer, and whether it does: another name, another order of the options, other questions beside,
 * a sentence that has nothing to do with it, other spaces; and a statement's negation, whose probability is the rest.
 * Needs no labels.
 */
import { overlap } from "../../engine/decide/probabilities.ts";
import type { Answer, DecisionRequest, Question } from "../../engine/decide/question.ts";
import type { Model } from "../../engine/port/model.ts";
import { wilson } from "./metrics/wilson.ts";
import { answersTo, classesOf, type Outcome, type Thinking } from "./outcomes.ts";
import type { DecisionRow } from "./rows.ts";
import type { Estimate } from "./summary.ts";

/** A row asked in another way. */
interface Variant {
  readonly request: DecisionRequest;
  /** The variant's class for each class of the row. */
  readonly classes: readonly number[];
}

export interface Invariance {
  readonly change: string;
  /** Rows that it can be made to. */
  readonly n: number;
  /** Share of answers that became others. */
  readonly changed: Estimate;
  /** Rows whose probabilities are the same bits. */
  readonly equal: number;
  /** Total variation between the probabilities before and after, 0..1. */
  readonly meanShift: number;
  readonly largestShift: number;
}

const UNRELATED = "It rained in Lisbon yesterday.";
const OTHERS: readonly Question[] = [
  { kind: "predicate", instructions: "It rained in Lisbon." },
  { kind: "choice", instructions: "Which colour is named?", options: [{ text: "red" }, { text: "green" }, { text: "none" }] },
];

const CHANGES: Readonly<Record<string, (row: DecisionRow) => Variant | undefined>> = {
  "another name": (row) => ({ request: row.renamed("q-7: other"), classes: same(row) }),
  "options reversed": reversed,
  "other questions beside": (row) => ({ request: { input: row.input, questions: [row.question, ...OTHERS] }, classes: same(row) }),
  "unrelated sentence before": (row) => withInput(row, `${UNRELATED} ${row.input}`),
  "unrelated sentence behind": (row) => withInput(row, `${row.input} ${UNRELATED}`),
  "doubled spaces": (row) => withInput(row, row.input.replaceAll(" ", "  ")),
  "space at the end": (row) => withInput(row, `${row.input} `),
  negation: negated,
};

/** Steps of `measureInvariance`. */
export function countVariants(rows: readonly DecisionRow[]): number {
  return rows.reduce((sum, row) => sum + Object.values(CHANGES).filter((change) => change(row) !== undefined).length, 0);
}

/** @param outcomes of the rows as they are, thought about as deeply */
export async function measureInvariance(
  model: Model,
  outcomes: readonly Outcome[],
  thinking: Thinking,
  onProgress: () => void,
): Promise<Invariance[]> {
  const reports: Invariance[] = [];
  for (const [change, make] of Object.entries(CHANGES)) {
    const shifts: { shift: number; isChanged: boolean }[] = [];
    for (const outcome of outcomes) {
      const variant = make(outcome.row);
      if (variant === undefined) continue;
      const [answer] = await answersTo(model, variant.request, thinking);
      shifts.push(compare(outcome, answer!, variant.classes));
      onProgress();
    }
    if (shifts.length > 0) reports.push(summarise(change, shifts));
  }
  return reports;
}

/** A sum of differences that are all 0 is exactly 0, so equal bits have no shift. */
function compare(before: Outcome, answer: Answer, classes: readonly number[]): { shift: number; isChanged: boolean } {
  const after = classesOf(answer);
  const probabilities = classes.map((of) => after.probabilities[of]!);
  return { shift: 1 - overlap(before.probabilities, probabilities), isChanged: classes[before.answer] !== after.answer };
}

function summarise(change: string, shifts: readonly { shift: number; isChanged: boolean }[]): Invariance {
  const [n, changed] = [shifts.length, shifts.filter(({ isChanged }) => isChanged).length];
  return {
    change,
    n,
    changed: { value: changed / n, ...wilson(changed, n) },
    equal: shifts.filter(({ shift }) => shift === 0).length,
    meanShift: shifts.reduce((sum, { shift }) => sum + shift, 0) / n,
    largestShift: shifts.reduce((most, { shift }) => Math.max(most, shift), 0),
  };
}

function same({ labels }: DecisionRow): number[] {
  return labels.map((_, i) => i);
}

function withInput(row: DecisionRow, input: string): Variant {
  return { request: { input, questions: [row.question] }, classes: same(row) };
}

/** A choice with its options reversed; a score's order is its meaning, so it has none. */
function reversed(row: DecisionRow): Variant | undefined {
  const { input, question } = row;
  if (question.kind !== "choice") return undefined;
  const turned = { ...question, options: question.options.toReversed() };
  return { request: { input, questions: [turned] }, classes: same(row).reverse() };
}

function negated({ input, question, negation }: DecisionRow): Variant | undefined {
  if (question.kind !== "predicate") return undefined;
  const instructions = negation ?? `It is not true that: ${question.instructions}`;
  return { request: { input, questions: [{ kind: "predicate", instructions }] }, classes: [1, 0] };
}
