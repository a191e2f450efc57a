/**
 * What held-out rows say of trained labels: figures beside those of the labels' texts alone, and which labels are taken
 * for which. Pure; printing is the command's.
 */
import { sigmoid, softmax } from "../../engine/decide/probabilities.ts";
import { calibrationError } from "../decision-eval/metrics/calibration-error.ts";
import { macroF1 } from "../decision-eval/metrics/macro-f1.ts";
import { wilson, type Interval } from "../decision-eval/metrics/wilson.ts";
import type { HeldOutRow } from "./fit-labels.ts";
import type { TrainedQuestion } from "./train.ts";

export interface HeldOutFigures {
  /** Rows, held out, that some label fits. */
  readonly n: number;
  readonly accuracy: number;
  readonly interval: Interval;
  readonly macroF1: number;
  readonly ece: number;
  /** Accuracy by the labels' texts alone, before any row. Undefined for predicates, which have none. */
  readonly before: number | undefined;
  /** Rows that no label fits, and the share of them below the threshold. */
  readonly outOfScope: { readonly n: number; readonly recall: number } | undefined;
}

export interface Confusion {
  readonly label: string;
  readonly answered: string;
  readonly rows: number;
}

export interface LabelReport {
  readonly question: string | null;
  readonly kind: TrainedQuestion["kind"];
  readonly labels: number;
  readonly rows: number;
  readonly folds: number;
  readonly settings: TrainedQuestion["settings"];
  readonly temperature: number;
  readonly threshold: number | null;
  readonly heldOut: HeldOutFigures;
  /** Rows by label and answer, right ones included; most rows first. */
  readonly confusion: readonly Confusion[];
}

export function reportOf(question: TrainedQuestion): LabelReport {
  const { kind, instructions, texts, rows, folds, settings, temperature, threshold } = question;
  return {
    question: instructions ?? null,
    kind,
    labels: texts.length,
    rows: rows.length,
    folds,
    settings,
    temperature,
    threshold: kind === "predicate" ? null : threshold,
    heldOut: figuresOf(question),
    confusion: confusionOf(question),
  };
}

function figuresOf({ kind, texts, heldOut, before, temperature, fit, threshold }: TrainedQuestion): HeldOutFigures {
  const inScope = heldOut.filter(({ target }) => target !== undefined);
  const right = inScope.filter(isRight).length;
  const judged = inScope.map((row) => ({ confidence: Math.max(...softmax(row.scores, temperature)), isRight: isRight(row) }));
  const outside = heldOut.filter(({ target }) => target === undefined);
  const refused = outside.filter(({ scores }) => sigmoid(fit.slope * Math.max(...scores) + fit.intercept) < threshold).length;
  return {
    n: inScope.length,
    accuracy: right / inScope.length,
    interval: wilson(right, inScope.length),
    macroF1: macroF1(inScope.map((row) => ({ gold: texts[row.target!]!, answer: texts[answerOf(row)]! }))),
    ece: calibrationError(judged),
    before: kind === "predicate" ? undefined : before.filter(isRight).length / inScope.length,
    outOfScope: outside.length === 0 ? undefined : { n: outside.length, recall: refused / outside.length },
  };
}

function confusionOf({ texts, heldOut }: TrainedQuestion): Confusion[] {
  const counts = new Map<string, Confusion>();
  for (const row of heldOut) {
    if (row.target === undefined) continue;
    const [label, answered] = [texts[row.target]!, texts[answerOf(row)]!];
    const key = JSON.stringify([label, answered]);
    counts.set(key, { label, answered, rows: (counts.get(key)?.rows ?? 0) + 1 });
  }
  return [...counts.values()].sort((a, b) => b.rows - a.rows || compare(a.label, b.label) || compare(a.answered, b.answered));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function isRight(row: HeldOutRow): boolean {
  return answerOf(row) === row.target;
}

function answerOf({ scores }: HeldOutRow): number {
  return scores.indexOf(Math.max(...scores));
}

/** Labels up to which the whole table can be read on a screen. */
const WIDEST_TABLE = 12;
/** Confusions shown of more labels. */
const MOST_CONFUSED = 20;

/** The confusion table, a row a label and a column an answer; of many labels the most frequent mistakes. */
export function confusionTable({ labels, confusion }: LabelReport): { readonly title: string; readonly lines: readonly object[] } {
  if (labels > WIDEST_TABLE) {
    const mistakes = confusion.filter(({ label, answered }) => label !== answered);
    const shown = mistakes.slice(0, MOST_CONFUSED);
    return { title: `most frequent of ${mistakes.length} kinds of mistake`, lines: shown };
  }
  const names = [...new Set(confusion.flatMap(({ label, answered }) => [label, answered]))].sort(compare);
  const count = (label: string, answered: string): number =>
    confusion.find((one) => one.label === label && one.answered === answered)?.rows ?? 0;
  const lines = names.map((label) => Object.fromEntries([["label", label], ...names.map((name) => [name, count(label, name)] as const)]));
  return { title: "held-out rows by label, and by answer", lines };
}

/** One line of figures. */
export function summaryOf({ question, kind, labels, rows, heldOut, folds, threshold }: LabelReport): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const { n, accuracy, interval, macroF1: f1, ece, before, outOfScope } = heldOut;
  return [
    `${question === null ? "labels" : JSON.stringify(question)}: ${kind === "predicate" ? "yes or no" : `${labels} labels`}, ${rows} rows`,
    `held out (${folds} folds): ${percent(accuracy)} right of ${n} (${percent(interval.low)} to ${percent(interval.high)}), macro-F1 ${(100 * f1).toFixed(1)}, ECE ${ece.toFixed(3)}`,
    ...(before === undefined ? [] : [`by the labels' texts alone: ${percent(before)}`]),
    ...(threshold === null
      ? []
      : [
          `abstains below fit ${threshold.toFixed(3)}${outOfScope === undefined ? "" : `, which finds ${percent(outOfScope.recall)} of ${outOfScope.n} rows that no label fits`}`,
        ]),
  ].join("\n  ");
}
