/**
 * fathom bench contrast: options and output of bench/contrast.ts.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { benchContrast, type ContrastRow } from "../contrast.ts";
import { list, wholeNumber, wholeNumbers } from "../../cli/arguments.ts";
import { defineCommand } from "../../cli/command.ts";
import { evalFiles, readProblems } from "../../cli/eval-score.ts";
import { CORE, DEFAULT_MODEL, loadNodeModel, modelPath } from "../../cli/models.ts";
import { withProgress } from "../../cli/progress.ts";
import { OUTPUT_ARGS, runBench } from "./output.ts";

export const benchContrastCommand = defineCommand({
  meta: { name: "contrast", description: "Accuracy where answers are read out against the first iteration (LoopCD)" },
  examples: ["fathom bench contrast --limit 20"],
  args: {
    model: { type: "string", default: DEFAULT_MODEL, description: "a model folder, or the name of a shipped model" },
    iterations: { type: "string", default: "4,8,16,32", description: "core iterations, comma-separated" },
    weights: { type: "string", default: "0,0.1,0.25,0.5,1", description: "weights of the contrast, comma-separated; 0: the plain readout" },
    limit: { type: "string", description: "most problems of a task and level [all]" },
    ...CORE,
    docs: { type: "string", description: "write the table into this folder" },
    ...OUTPUT_ARGS,
  },
  async run({ args }) {
    const depths = wholeNumbers("--iterations", args.iterations, 2, 1024);
    const weights = list("--weights", args.weights).map(Number);
    const most = args.limit === undefined ? undefined : wholeNumber("--limit", args.limit, 1, 1e9);
    const problems = await readProblems(await evalFiles(modelPath(args.model)), most);
    const model = await loadNodeModel(args.model, "wasm", args);
    const measure = (): Promise<{ rows: ContrastRow[] }> =>
      withProgress(problems.length * depths.length * weights.length, "answers", async (step) => ({
        rows: await benchContrast(model, problems, depths, weights, step),
      }));
    const { rows } = await runBench("contrast", args, measure, (result) => console.table(result.rows.map(flat)));
    const asked = `fathom bench contrast${most === undefined ? "" : ` --limit ${most}`} --docs docs`;
    if (args.docs !== undefined) await writeFile(join(args.docs, "contrast-table.md"), page(model.card.id, rows, weights, asked));
  },
});

function flat({ accuracy, ...row }: ContrastRow): object {
  return { ...row, ...Object.fromEntries(Object.entries(accuracy).map(([weight, share]) => [`w=${weight}`, percent(share)])) };
}

function page(model: string, rows: readonly ContrastRow[], weights: readonly number[], command: string): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  return [
    `Made by \`${command}\`.`,
    "",
    `Exact answers of ${model}, read out as logits_R + w (logits_R - logits_1), which LoopCD ([arXiv 2610.02185](https://arxiv.org/abs/2610.02185)) proposes for looped models, without training. w = 0 is the plain readout.`,
    "",
    line(["task", "r", "n", ...weights.map((weight) => `w = ${weight}`)]),
    line(["---", "---:", "---:", ...weights.map(() => "---:")]),
    ...rows.map(({ task, iterations, n, accuracy }) => line([task, iterations, n, ...weights.map((w) => percent(accuracy[w]!))])),
    "",
  ].join("\n");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
