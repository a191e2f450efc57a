/**
 * The exit rules that a card offers to the budget controller, measured: accuracy and work of each on a set of problems.
 */
import type { MeasuredExit } from "../engine/budget/exit-choice.ts";
import { parseExitRule, type ExitCriterion, type ExitRule } from "../engine/exit-rule.ts";
import type { Model } from "../engine/port/model.ts";
import { scoreBudget, summarise, type BudgetScore } from "./budget-score.ts";
import type { Problem } from "./eval-score.ts";

/** Rules that a card's measured exits are chosen from, besides its own. */
const CANDIDATE_EXITS: readonly string[] = [
  "rest-wake:0.2:0.5",
  "rest-wake:0.3:0.5",
  "rest-wake:0.3:1",
  "rest-wake:0.5:1",
  "rest-wake:0.7:1",
  "rest-wake:0.5:2",
  "rest-wake:0.7:2",
  "rest-wake:0.9:2",
  "prefix:0.5",
];

/** Measures candidates for a card's measured exits: accuracy and work of each rule, run to its end. */
export async function measureExits(
  model: Model,
  problems: readonly Problem[],
  onProgress: () => void,
): Promise<(MeasuredExit & { n: number })[]> {
  const measuredExits: (MeasuredExit & { n: number })[] = [];
  for (const rule of candidateRules(model)) {
    const scores: BudgetScore[] = [];
    for (const problem of problems) {
      scores.push(await scoreBudget(model, problem, { iterations: model.card.maxIterations, exit: rule }));
      onProgress();
    }
    const { accuracy, meanIterations, n } = summarise("", null, scores);
    measuredExits.push({ exit: rule, accuracy: round(accuracy), meanIterations: round(meanIterations), n });
  }
  return measuredExits.toSorted((a, b) => a.meanIterations - b.meanIterations);
}

/** The rules that measureExits measures: the card's own and a list. */
export function candidateRules(model: Model): ExitRule[] {
  const { criterion, threshold, wake } = model.card.exitRule;
  const own: ExitRule = { criterion, threshold, ...(wake !== undefined && { wake }) };
  return [own, ...CANDIDATE_EXITS.map(parseExitRule)].filter((r) => isAllowed(model, r.criterion));
}

/** Rules that stop rows one by one need the cache that keeps a single iteration, and rest-wake attention besides. */
export function isAllowed({ card, config, backend }: Model, criterion: ExitCriterion): boolean {
  if (criterion !== "prefix" && criterion !== "rest-wake") return true;
  const { lookup, sharing } = card.cacheStrategy;
  const keepsOne = lookup === "latest" && sharing.kind === "cyclic" && sharing.slots === config.coreLayers;
  return keepsOne && (criterion === "prefix" || backend.pressure !== undefined);
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
