/**
 * What an evaluation writes into a card: the table, temperatures, and the fit below which nothing fits.
 */
import type { CardJson } from "../../engine/model/card.ts";
import type { Model } from "../../engine/port/model.ts";
import { changeCard } from "../card-file.ts";
import type { EvaluatedTask, Evaluation } from "./evaluation.ts";
import type { DecisionSummary } from "./summary.ts";

type DecisionsJson = NonNullable<CardJson["decisions"]>;

/** Replaces what was measured on decisions before; all else stays. @param command that measured it @returns the card's path */
export async function writeDecisions(folder: string, model: Model, evaluation: Evaluation, command: string): Promise<string> {
  const measured = { form: model.decisions.name, ...measuredDecisions(evaluation), qualityMeasuredBy: command };
  return changeCard(folder, (card) => ({ ...card, decisions: { ...card.decisions, ...measured } }));
}

export function measuredDecisions({
  tasks,
  temperatures,
}: Evaluation): Pick<DecisionsJson, "quality" | "temperatures"> & { fitThreshold?: number } {
  const byKind: Record<string, Record<string, number>> = {};
  for (const { kind, options, temperature } of temperatures) (byKind[kind] ??= {})[options] = round(temperature);
  const fitThreshold = tasks.find(({ task }) => task === undefined)?.withExit.outOfScope?.fitThreshold;
  return {
    temperatures: byKind,
    ...(fitThreshold !== undefined && Number.isFinite(fitThreshold) && { fitThreshold }),
    quality: tasks.filter(({ task }) => task !== undefined).map(qualityOf),
  };
}

function qualityOf({ task, limits, withExit }: EvaluatedTask): NonNullable<DecisionsJson["quality"]>[number] {
  return {
    task: task!,
    n: withExit.n,
    ...(withExit.outOfScope !== undefined && { outOfScope: withExit.outOfScope.n }),
    accuracy: Object.fromEntries(limits.map(({ iterations, summary }) => [iterations, round(summary.accuracy.value)])),
    withExit: { ...figuresOf(withExit), meanIterations: round(withExit.meanIterations) },
  };
}

function figuresOf({
  accuracy,
  macroF1,
  brier,
  ece,
  aurc,
  outOfScope,
}: DecisionSummary): Record<"accuracy" | "macroF1" | "brier" | "ece" | "aurc", number> & { outOfScopeRecall?: number } {
  return {
    accuracy: round(accuracy.value),
    macroF1: round(macroF1.value),
    brier: round(brier.value),
    ece: round(ece.value),
    aurc: round(aurc.value),
    ...(outOfScope !== undefined && { outOfScopeRecall: round(outOfScope.byFit.value) }),
  };
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
