/**
 * fathom bench budget: options, progress and output of bench/budget*.ts.
 */
import { budgetGrid, fixedAt, frontier, policyCount, splitProblems } from "../bench/budget.ts";
import { latencyRuns, summariseLatency } from "../bench/budget-latency.ts";
import { writeBudgetReport } from "../bench/budget-report.ts";
import { choice, list, wholeNumber } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { CARD_PROBLEMS, dataFiles } from "./calibrate.ts";
import { readProblems } from "./eval-score.ts";
import { BACKENDS, DEFAULT_MODEL, loadNodeModel } from "./models.ts";
import { withProgress } from "./progress.ts";

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
    json: { type: "boolean", default: false, description: "print one JSON object" },
    docs: { type: "string", description: "write table and plot into this folder" },
  },
  async run({ args }) {
    const limit = wholeNumber("--limit", args.limit, 1, 1e9);
    const runs = wholeNumber("--runs", args.runs, 0, 1e6);
    const seed = wholeNumber("--seed", args.seed, 0, 2 ** 31 - 1);
    const model = await loadNodeModel(args.model, choice("--backend", args.backend, BACKENDS));
    const problems = splitProblems(
      await readProblems(args.data === undefined ? await dataFiles(args.model) : list("--data", args.data), CARD_PROBLEMS + limit),
      CARD_PROBLEMS,
    ).rest;
    const latency =
      runs === 0
        ? undefined
        : summariseLatency(await withProgress(runs, "requests", (step) => latencyRuns(model, problems, runs, seed, step)));
    const budgets = budgetGrid(model, problems);
    const total = problems.length * policyCount(budgets, model.card.maxIterations);
    const { points, steps } = await withProgress(total, "answers", (step) => frontier(model, problems, budgets, step));
    if (args.json) console.log(JSON.stringify({ latency: latency ?? null, frontier: points, steps }));
    else {
      if (latency !== undefined) console.table([latency]);
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
    if (args.docs !== undefined)
      await writeBudgetReport(args.docs, model.card.id, { points, steps }, latency, "fathom bench budget --docs docs");
  },
});

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
