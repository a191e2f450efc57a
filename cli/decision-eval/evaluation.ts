/**
 * An evaluation of decisions: every row at every iteration limit and under the exit rule, by task and in all.
 */
import type { Model } from "../../engine/port/model.ts";
import { measureInvariance, countVariants, type Invariance } from "./invariance.ts";
import { decideRow, type Outcome, type Thinking } from "./outcomes.ts";
import type { DecisionRow } from "./rows.ts";
import { summariseDecisions, type DecisionSummary, type SummaryOptions } from "./summary.ts";
import { fitTemperatures, type FittedTemperature } from "./temperatures.ts";
import { compareWitnesses, type Witness } from "./witnesses.ts";

export interface EvaluatedTask {
  /** The task; undefined for all of them together. */
  readonly task: string | undefined;
  /** Figures without an exit rule, by ascending limit. */
  readonly limits: readonly { readonly iterations: number; readonly summary: DecisionSummary }[];
  readonly withExit: DecisionSummary;
}

export interface Evaluation {
  /** All together first, then by task where there are several. */
  readonly tasks: readonly EvaluatedTask[];
  readonly temperatures: readonly FittedTemperature[];
  readonly witnesses: readonly Witness[];
  readonly invariance: readonly Invariance[];
}

export interface EvaluationPlan extends SummaryOptions {
  /** Iteration limits, ascending. */
  readonly limits: readonly number[];
  /** Under the exit rule. */
  readonly thinking: Thinking;
  readonly withInvariance: boolean;
}

/** Steps that `evaluateDecisions` tells. */
export function countSteps(rows: readonly DecisionRow[], { limits, withInvariance }: EvaluationPlan): number {
  return rows.length * (limits.length + 1) + (withInvariance ? countVariants(rows) : 0);
}

export async function evaluateDecisions(
  model: Model,
  rows: readonly DecisionRow[],
  plan: EvaluationPlan,
  onProgress: () => void,
): Promise<Evaluation> {
  const decideAll = async (thinking: Thinking): Promise<Outcome[]> => {
    const outcomes: Outcome[] = [];
    for (const row of rows) {
      outcomes.push(await decideRow(model, row, thinking));
      onProgress();
    }
    return outcomes;
  };
  const byLimit: { iterations: number; outcomes: Outcome[] }[] = [];
  for (const iterations of plan.limits)
    byLimit.push({ iterations, outcomes: await decideAll({ iterations, exit: { criterion: "none", threshold: 0 } }) });
  const withExit = await decideAll(plan.thinking);
  const names = [...new Set(rows.map(({ task }) => task))];
  const tasks = [undefined, ...names].map((task): EvaluatedTask => {
    const of = (outcomes: readonly Outcome[]): DecisionSummary =>
      summariseDecisions(
        outcomes.filter(({ row }) => task === undefined || row.task === task),
        plan,
      );
    return {
      task,
      limits: byLimit.map(({ iterations, outcomes }) => ({ iterations, summary: of(outcomes) })),
      withExit: of(withExit),
    };
  });
  return {
    tasks,
    temperatures: fitTemperatures(withExit),
    witnesses: compareWitnesses(withExit, plan),
    invariance: plan.withInvariance ? await measureInvariance(model, withExit, plan.thinking, onProgress) : [],
  };
}
