/**
 * fathom bench exits: options, progress and output of bench/exits.ts.
 */
import { compareExits, RULES, summariseRules, type ExitRow } from "../exits.ts";
import { profileExits } from "../exits-profile.ts";
import { chooseDefault, writeExitReport } from "../exits-report.ts";
import { FathomError } from "../../engine/errors.ts";
import { choice, list, wholeNumber } from "../../cli/arguments.ts";
import { changeCard, whereWritten } from "../../cli/card-file.ts";
import { defineCommand } from "../../cli/command.ts";
import { evalFiles, readProblems } from "../../cli/eval-score.ts";
import { BACKENDS, DEFAULT_MODEL, CORE, loadNodeModel, modelPath } from "../../cli/models.ts";
import { withProgress, withReports } from "../../cli/progress.ts";
import { OUTPUT_ARGS, runBench } from "./output.ts";

export const benchExitsCommand = defineCommand({
  meta: { name: "exits", description: "Accuracy and work of every exit rule, by form and level" },
  examples: ["fathom bench exits --rules none,latent-diff:0.03 --limit 10"],
  args: {
    model: { type: "string", default: DEFAULT_MODEL, description: "a model folder, or the name of a shipped model" },
    data: { type: "string", description: "JSONL files, comma-separated [the model folder's eval/]" },
    rules: { type: "string", description: "rules to compare, comma-separated, CRITERION:THRESHOLD or rest-wake:REST:WAKE [a grid]" },
    limit: { type: "string", description: "use only the first N lines of each task and level" },
    repetitions: { type: "string", default: "3", description: "of each answer; the fastest is its time" },
    backend: { type: "string", default: "wasm", description: BACKENDS.join(" or ") },
    ...CORE,
    profile: { type: "boolean", default: false, description: "only where the time of an answer goes, without a rule and with each" },
    ...OUTPUT_ARGS,
    docs: { type: "string", description: "write table and plot into this folder" },
    card: { type: "boolean", default: false, description: "write the cheapest rule that holds accuracy into card.json" },
  },
  async run({ args }) {
    const rules = args.rules === undefined ? undefined : list("--rules", args.rules);
    const repetitions = wholeNumber("--repetitions", args.repetitions, 1, 1000);
    const model = await loadNodeModel(args.model, choice("--backend", args.backend, BACKENDS), args);
    const folder = modelPath(args.model);
    const files = args.data === undefined ? await evalFiles(folder) : list("--data", args.data);
    const problems = await readProblems(files, args.limit === undefined ? undefined : wholeNumber("--limit", args.limit, 1, 1e9));
    if (args.profile) {
      const profiled = rules ?? ["none", "latent-diff:0.03", "rest-wake:0.2:0.3"];
      await runBench(
        "exits-profile",
        args,
        async () => ({
          profile: await withReports("answers", (report) => profileExits(model, problems, profiled, report)),
        }),
        showProfile,
      );
      return;
    }
    const compared = rules ?? RULES;
    const total = problems.length * compared.length * repetitions;
    const measure = async (): Promise<{ rows: ExitRow[] }> => ({
      rows: await withProgress(total, "answers", (step) => compareExits(model, problems, compared, repetitions, step)),
    });
    const { rows } = await runBench("exits", args, measure, showRules);
    if (args.docs !== undefined) await writeExitReport(args.docs, model.card.id, rows, "fathom bench exits --docs docs");
    if (args.card) await writeDefault(folder, chooseDefault(rows));
  },
});

function showRules({ rows }: { readonly rows: readonly ExitRow[] }): void {
  console.table(
    summariseRules(rows).map((s) => ({
      ...s,
      accuracy: percent(s.accuracy),
      workShare: percent(s.workShare),
      timeShare: percent(s.timeShare),
    })),
  );
}

function showProfile({ profile }: { readonly profile: Awaited<ReturnType<typeof profileExits>> }): void {
  console.table(
    profile.map((row) => Object.fromEntries(Object.entries(row).map(([k, v]) => [k, typeof v === "number" ? v.toFixed(3) : v]))),
  );
}

async function writeDefault(folder: string, rule: ReturnType<typeof chooseDefault>): Promise<void> {
  if (rule === undefined)
    throw new FathomError(
      "invalid_request",
      "No rule of this run holds the accuracy of running to the limit (the rule none must be among them); the card stays as it is.",
      "--card",
    );
  const path = await changeCard(folder, (card) => ({ ...card, exit: { ...card.exit, ...rule } }));
  console.error(`exit rule ${JSON.stringify(rule)} ${whereWritten(path)}`);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
