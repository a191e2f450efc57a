/**
 * fathom eval: scores a model on lines of {"prompt", "answer", "task"?, "level"?}: greedy, exact match, at several
 * iteration limits, with or without an exit rule. With --card the table goes into the model's card.json. Decisions are
 * scored by eval-decisions.ts.
 */
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { FathomError } from "../engine/errors.ts";
import { parseExitRule, NEVER_EXIT, type ExitRule } from "../engine/exit-rule.ts";
import type { CardJson, QualityRow } from "../engine/model/card.ts";
import type { Model } from "../engine/port/model.ts";
import { choice, list, wholeNumber, wholeNumbers } from "./arguments.ts";
import { changeCard, whereWritten } from "./card-file.ts";
import { defineCommand } from "./command.ts";
import { evalDecisions } from "./eval-decisions.ts";
import { evalFiles, readProblems, score, summarise, type EvalRow, type Problem } from "./eval-score.ts";
import { BACKENDS, DEFAULT_MODEL, CORE, loadNodeModel, modelPath } from "./models.ts";
import { withProgress } from "./progress.ts";

const MOST_ITERATIONS = 1024;
const LIMITS = "1,2,4,8,16,32";

export const evalCommand = defineCommand({
  meta: { name: "eval", description: "Score a model on a JSONL file of prompts and answers, or of decisions" },
  examples: [
    "fathom eval --decisions tickets.jsonl --invariance --json",
    "fathom eval --data questions.jsonl --iterations 4,16",
    "fathom eval --model ./my-model --limit 20 --exit latent-diff:0.03",
  ],
  args: {
    model: { type: "string", default: DEFAULT_MODEL, description: "a model folder, or the name of a shipped model" },
    data: {
      type: "string",
      description: 'JSONL files, comma-separated; lines {"prompt", "answer", "task"?, "level"?} [the model folder\'s eval/]',
    },
    decisions: {
      type: "string",
      description:
        'JSONL files of decisions, comma-separated; lines {"input", "question", "gold", "task"?}, question as in POST /v1/decisions',
    },
    "as-decisions": { type: "boolean", default: false, description: "ask the problems as choices between their task's answers" },
    invariance: {
      type: "boolean",
      default: false,
      description: "of decisions, also how often answers change where nothing should change them",
    },
    seed: { type: "string", default: "0", description: "of decisions, what the intervals' samples are drawn from" },
    iterations: {
      type: "string",
      description: `iteration limits to score, comma-separated [${LIMITS}; of decisions powers of two up to the card's]`,
    },
    exit: { type: "string", description: "exit rule, CRITERION[:THRESHOLD] [none; of decisions the card's]" },
    cache: { type: "string", description: "cache strategy [the card's]" },
    limit: { type: "string", description: "use only the first N lines of each task and level" },
    backend: { type: "string", default: "wasm", description: BACKENDS.join(" or ") },
    ...CORE,
    json: { type: "boolean", default: false, description: "print one JSON object" },
    card: { type: "boolean", default: false, description: "write accuracy at every limit, and with the card's exit rule, into card.json" },
  },
  async run({ args }) {
    if (args.decisions !== undefined || args["as-decisions"]) return evalDecisions(args);
    refuseDecisionOptions(args);
    const iterations = args.iterations ?? LIMITS;
    const limits = wholeNumbers("--iterations", iterations, 1, MOST_ITERATIONS);
    const exit = args.exit === undefined ? NEVER_EXIT : parseExitRule(args.exit);
    const most = args.limit === undefined ? undefined : wholeNumber("--limit", args.limit, 1, 1e9);
    if (args.card && exit.criterion !== "none")
      throw new FathomError("invalid_request", "--card measures the card's own exit rule; leave --exit away.", "--exit");
    const cache = args.cache === undefined ? undefined : parseCacheStrategy(args.cache);
    const files = args.data === undefined ? await evalFiles(modelPath(args.model)) : list("--data", args.data);
    const problems = await readProblems(files, most);
    const loaded = await loadNodeModel(args.model, choice("--backend", args.backend, BACKENDS), args);
    const model = cache === undefined ? loaded : { ...loaded, card: { ...loaded.card, cacheStrategy: cache } };
    const rows = await run(model, problems, limits, exit);
    if (args.json) console.log(JSON.stringify({ model: model.card.id, exit, rows }));
    else printTable(rows, limits);
    if (!args.card) return;
    const withExit = await run(model, problems, [Math.max(...limits)], model.card.exitRule);
    await writeQuality(modelPath(args.model), rows, withExit, `fathom eval --card --iterations ${iterations}`);
  },
});

function refuseDecisionOptions({ invariance, seed }: { readonly invariance: boolean; readonly seed: string }): void {
  const option = invariance ? "--invariance" : seed === "0" ? undefined : "--seed";
  if (option === undefined) return;
  throw new FathomError("invalid_request", `${option} is for decisions; give --decisions FILE or --as-decisions, too.`, option);
}

function run(model: Model, problems: readonly Problem[], limits: readonly number[], exit: ExitRule): Promise<EvalRow[]> {
  return withProgress(problems.length * limits.length, "answers", async (step) => {
    const rows: EvalRow[] = [];
    for (const iterations of limits) {
      const scores = [];
      for (const problem of problems) {
        scores.push(await score(model, problem, iterations, exit));
        step();
      }
      rows.push(...summarise(problems, scores, iterations));
    }
    return rows;
  });
}

/** One line a task and level, one column a limit: accuracy in percent. */
function printTable(rows: readonly EvalRow[], limits: readonly number[]): void {
  const table = new Map<string, Record<string, string | number>>();
  for (const row of rows) {
    const key = `${row.task} ${row.level ?? ""}`;
    const line = table.get(key) ?? { task: row.task, level: row.level ?? "", n: row.n };
    line[`r=${row.iterations}`] = `${(row.accuracy * 100).toFixed(1)} %`;
    if (row.iterations === limits.at(-1))
      Object.assign(line, { "mean iterations": row.meanIterations.toFixed(1), "ms an answer": row.msPerAnswer.toFixed(1) });
    table.set(key, line);
  }
  console.table([...table.values()]);
}

/** Replaces the card's quality table; what training reached (trainedTo) is kept from card.training.trainedLevels. */
async function writeQuality(folder: string, rows: readonly EvalRow[], withExit: readonly EvalRow[], command: string): Promise<void> {
  const path = await changeCard(folder, (card) => ({ ...card, quality: qualityOf(card, rows, withExit), qualityMeasuredBy: command }));
  console.error(`quality ${whereWritten(path)}`);
}

function qualityOf(card: CardJson, rows: readonly EvalRow[], withExit: readonly EvalRow[]): QualityRow[] {
  const trained = (card.training?.["trainedLevels"] ?? {}) as Record<string, number>;
  const quality = new Map<string, QualityRow>();
  for (const { task, level, n, iterations, accuracy } of rows) {
    const key = `${task} ${level}`;
    const exitRow = withExit.find((r) => r.task === task && r.level === level);
    const row = quality.get(key) ?? {
      task,
      ...(level !== undefined && { level }),
      n,
      ...(trained[task] !== undefined && { trainedTo: trained[task] }),
      accuracy: {},
      ...(exitRow && { withExit: { accuracy: exitRow.accuracy, meanIterations: round(exitRow.meanIterations) } }),
    };
    row.accuracy[iterations] = accuracy;
    quality.set(key, row);
  }
  return [...quality.values()];
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
