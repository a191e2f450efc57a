/**
 * fathom bench budget: options, progress and output of bench/budget*.ts.
 */
import { budgetGrid, fixedAt, frontier, policyCount, splitProblems, type Frontier } from "../budget.ts";
import { latencyRuns, summariseLatency } from "../budget-latency.ts";
import { writeBudgetReport } from "../budget-report.ts";
import type { Model } from "../../engine/port/model.ts";
import { choice, list, wholeNumber } from "../../cli/arguments.ts";
import { defineCommand } from "../../cli/command.ts";
import { CARD_PROBLEMS, dataFiles } from "../../cli/calibrate.ts";
import { readProblems, type Problem } from "../../cli/eval-score.ts";
import { BACKENDS, DEFAULT_MODEL, CORE, loadNodeModel } from "../../cli/models.ts";
import { withProgress } from "../../cli/progress.ts";
import { OUTPUT_ARGS, runBench } from "./output.ts";

export const benchBudgetCommand = defineCommand({
  meta: { name: "budget", description: "Accuracy against budget, and latency budgets against the clock" },
  examples: ["fathom bench budget --limit 10 --runs 100"],
  args: {
    model: { type: "string", default: DEFAULT_MODEL, description: "a model folder, or the name of a shipped model" },
    data: { type: "string", description: "JSONL files, comma-separated [the model folder's eval/]" },
    limit: {
      type: "string",
      default: "25",
      description: `lines of each task and level, after the first ${CARD_PROBLEMS}, which the card's rules were chosen on`,
    },
    runs: { type: "string", default: "500", description: "requests with latency budgets; 0: none" },
    seed: { type: "string", default: "1", description: "of those requests" },
    backend: { type: "string", default: "wasm", description: BACKENDS.join(" or ") },
    ...CORE,
    ...OUTPUT_ARGS,
    docs: { type: "string", description: "write table and plot into this folder" },
  },
  async run({ args }) {
    const limit = wholeNumber("--limit", args.limit, 1, 1e9);
    const runs = wholeNumber("--runs", args.runs, 0, 1e6);
    const seed = wholeNumber("--seed", args.seed, 0, 2 ** 31 - 1);
    const model = await loadNodeModel(args.model, choice("--backend", args.backend, BACKENDS), args);
    const problems = splitProblems(
      await readProblems(args.data === undefined ? await dataFiles(args.model) : list("--data", args.data), CARD_PROBLEMS + limit),
      CARD_PROBLEMS,
    ).rest;
    const { latency, frontier: points, steps } = await runBench("budget", args, () => measure(model, problems, runs, seed), show);
    if (args.docs !== undefined)
      await writeBudgetReport(args.docs, model.card.id, { points, steps }, latency ?? undefined, "fathom bench budget --docs docs");
  },
});

interface BudgetResult {
  readonly latency: ReturnType<typeof summariseLatency> | null;
  readonly frontier: Frontier["points"];
  readonly steps: Frontier["steps"];
}

async function measure(model: Model, problems: readonly Problem[], runs: number, seed: number): Promise<BudgetResult> {
  const latency =
    runs === 0 ? null : summariseLatency(await withProgress(runs, "requests", (step) => latencyRuns(model, problems, runs, seed, step)));
  const budgets = budgetGrid(model, problems);
  const total = problems.length * policyCount(budgets, model.card.maxIterations);
  const { points, steps } = await withProgress(total, "answers", (step) => frontier(model, problems, budgets, step));
  return { latency, frontier: points, steps };
}

function show({ latency, frontier: points, steps }: BudgetResult): void {
  if (latency !== null) console.table([latency]);
  console.table([steps]);
  console.table(
    points.map((p) => ({
      policy: p.policy,
      budget: p.budgetUnits ?? "",
      "mean units": p.meanUnits.toFixed(4),
      iterations: p.meanIterations.toFixed(2),
      accuracy: percent(p.accuracy),
      "fixed depth at this spend": p.policy.startsWith("r=") ? "" : percent(fixedAt(points, p.meanUnits) ?? NaN),
      refused: p.refused,
      ms: p.meanMs.toFixed(2),
    })),
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
