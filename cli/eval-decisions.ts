/**
 * fathom eval --decisions: how good a model's decisions are, on labelled rows or on the problems that it answers in text;
 * what `fathom eval` is to text. Only options and output; the evaluation is in decision-eval/.
 */
import { decisionDefaults } from "../engine/decide/decide.ts";
import { FathomError } from "../engine/errors.ts";
import { parseExitRule } from "../engine/exit-rule.ts";
import type { Model } from "../engine/port/model.ts";
import { choice, list, wholeNumber, wholeNumbers } from "./arguments.ts";
import { whereWritten } from "./card-file.ts";
import { writeDecisions } from "./decision-eval/card.ts";
import { countSteps, evaluateDecisions, type EvaluationPlan } from "./decision-eval/evaluation.ts";
import { problemsAsDecisions } from "./decision-eval/problems.ts";
import { readDecisionRows, type DecisionRow } from "./decision-eval/rows.ts";
import { tablesOf } from "./decision-eval/tables.ts";
import { evalFiles, readProblems } from "./eval-score.ts";
import { BACKENDS, loadNodeModel, modelPath } from "./models.ts";
import { withProgress } from "./progress.ts";

export interface DecisionEvalArgs {
  readonly model: string;
  readonly decisions?: string | undefined;
  readonly data?: string | undefined;
  readonly iterations?: string | undefined;
  readonly exit?: string | undefined;
  readonly cache?: string | undefined;
  readonly limit?: string | undefined;
  readonly backend: string;
  readonly memory?: string | undefined;
  readonly threads?: string | undefined;
  readonly seed: string;
  readonly invariance: boolean;
  readonly json: boolean;
  readonly card: boolean;
}

/** @throws {FathomError} invalid_request */
export async function evalDecisions(args: DecisionEvalArgs): Promise<void> {
  if (args.cache !== undefined)
    throw new FathomError(
      "invalid_request",
      "Decisions have a cache of their own, which keeps one iteration; leave --cache away.",
      "--cache",
    );
  if (args.card && args.exit !== undefined)
    throw new FathomError("invalid_request", "--card measures the card's own exit rule; leave --exit away.", "--exit");
  if (args.decisions !== undefined && args.data !== undefined)
    throw new FathomError("invalid_request", "--decisions names the file; leave --data away.", "--data");
  const seed = wholeNumber("--seed", args.seed, 0, 2 ** 31 - 1);
  const backend = choice("--backend", args.backend, BACKENDS);
  const rows = await rowsOf(args);
  const model = await loadNodeModel(args.model, backend, args);
  const plan = { ...planOf(model, args), withInvariance: args.invariance, seed };
  const evaluation = await withProgress(countSteps(rows, plan), "decisions", (step) => evaluateDecisions(model, rows, plan, () => step()));
  if (args.json) {
    const { exit, iterations } = plan.thinking;
    console.log(JSON.stringify({ model: model.card.id, form: model.decisions.name, iterations, exit, ...evaluation }));
  } else
    for (const { title, lines } of tablesOf(evaluation)) {
      console.log(title);
      console.table(lines);
    }
  if (!args.card) return;
  const path = await writeDecisions(modelPath(args.model), model, evaluation, commandOf(args));
  console.error(`${evaluation.tasks.length - 1} rows and ${evaluation.temperatures.length} temperatures ${whereWritten(path)}`);
}

async function rowsOf({ decisions, data, limit, model }: DecisionEvalArgs): Promise<DecisionRow[]> {
  const most = limit === undefined ? undefined : wholeNumber("--limit", limit, 1, 1e9);
  if (decisions !== undefined) return readDecisionRows(list("--decisions", decisions), most);
  const files = data === undefined ? await evalFiles(modelPath(model)) : list("--data", data);
  return problemsAsDecisions(await readProblems(files, most));
}

/** Limits are powers of two up to the model's own, where nobody says otherwise. */
function planOf({ card }: Model, { iterations, exit }: DecisionEvalArgs): Pick<EvaluationPlan, "limits" | "thinking"> {
  const own = decisionDefaults(card);
  const powers = Array.from({ length: Math.ceil(Math.log2(own.iterations)) }, (_, i) => 2 ** i);
  const limits = iterations === undefined ? [...powers, own.iterations] : wholeNumbers("--iterations", iterations, 1, card.maxIterations);
  const sorted = limits.toSorted((a, b) => a - b);
  return { limits: sorted, thinking: { iterations: sorted.at(-1)!, exit: exit === undefined ? own.exit : parseExitRule(exit) } };
}

function commandOf({ decisions, iterations, limit }: DecisionEvalArgs): string {
  const what = decisions === undefined ? "--as-decisions" : `--decisions ${decisions.replace(/.*\//, "")}`;
  const options = Object.entries({ iterations, limit }).flatMap(([name, value]) => (value === undefined ? [] : [`--${name} ${value}`]));
  return ["fathom eval", what, "--card", ...options].join(" ");
}
