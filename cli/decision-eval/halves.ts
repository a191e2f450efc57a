/**
 * Outcomes in two halves: what is fitted on one is reported on the other. By kind of question and number of options, and
 * within those by what the rows say, so that a shuffled file has the same halves. Pure.
 */
import type { QuestionKind } from "../../engine/decide/question.ts";
import { inFixedOrder, type Outcome } from "./outcomes.ts";

/** Options that share a temperature reach up to these. */
const REACHES = [2, 5, 10, 255] as const;

export interface OutcomeGroup {
  readonly kind: QuestionKind;
  /** Most options of a question in it; the same questions' temperatures in a card have this key. */
  readonly options: number;
  readonly fitted: readonly Outcome[];
  readonly reported: readonly Outcome[];
}

/** Kinds and numbers of options that are there. */
export function halvesByKind(outcomes: readonly Outcome[]): OutcomeGroup[] {
  const groups = new Map<string, { kind: QuestionKind; options: number; fitted: Outcome[]; reported: Outcome[] }>();
  for (const outcome of inFixedOrder(outcomes)) {
    const { kind } = outcome.row.question;
    const count = kind === "predicate" ? 1 : outcome.row.labels.length;
    const options = kind === "predicate" ? 1 : REACHES.find((most) => count <= most)!;
    const key = `${kind} ${options}`;
    const group = groups.get(key) ?? { kind, options, fitted: [], reported: [] };
    groups.set(key, group);
    (group.fitted.length <= group.reported.length ? group.fitted : group.reported).push(outcome);
  }
  return [...groups.values()].sort((a, b) => (a.kind === b.kind ? a.options - b.options : a.kind < b.kind ? -1 : 1));
}
