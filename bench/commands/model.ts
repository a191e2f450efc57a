/**
 * Benches on a model's own problems, ways to decode and cache strategies: options, progress and output.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheStrategies, cacheTable, compareCaches } from "../cache.ts";
import { compareWays, type WayRow } from "../ways.ts";
import type { Model } from "../../engine/port/model.ts";
import { choice, list, wholeNumber } from "../../cli/arguments.ts";
import { defineCommand } from "../../cli/command.ts";
import { evalFiles, readProblems, type Problem } from "../../cli/eval-score.ts";
import { BACKENDS, DEFAULT_MODEL, CORE, loadNodeModel, modelPath } from "../../cli/models.ts";
import { withProgress } from "../../cli/progress.ts";
import { OUTPUT_ARGS, runBench } from "./output.ts";

const SHARED_ARGS = {
  model: { type: "string", default: DEFAULT_MODEL, description: "a model folder, or the name of a shipped model" },
  data: { type: "string", description: "JSONL files, comma-separated [the model folder's eval/]" },
  limit: { type: "string", description: "use only the first N lines of each task and level" },
  backend: { type: "string", default: "wasm", description: BACKENDS.join(" or ") },
  ...CORE,
  ...OUTPUT_ARGS,
} as const;

async function prepare(args: {
  model: string;
  data?: string | undefined;
  limit?: string | undefined;
  backend: string;
  memory?: string | undefined;
  threads?: string | undefined;
}): Promise<{ model: Model; problems: Problem[] }> {
  const model = await loadNodeModel(args.model, choice("--backend", args.backend, BACKENDS), args);
  const files = args.data === undefined ? await evalFiles(modelPath(args.model)) : list("--data", args.data);
  return { model, problems: await readProblems(files, args.limit === undefined ? undefined : wholeNumber("--limit", args.limit, 1, 1e9)) };
}

export const benchWaysCommand = defineCommand({
  meta: { name: "ways", description: "Self-speculation and the exact wavefront against plain greedy decoding" },
  examples: ["fathom bench ways --limit 10"],
  args: SHARED_ARGS,
  async run({ args }) {
    const measure = async (): Promise<{ rows: WayRow[] }> => {
      const { model, problems } = await prepare(args);
      return { rows: await withProgress(problems.length, "problems", (step) => compareWays(model, problems, step)) };
    };
    const { rows } = await runBench("ways", args, measure, (result) =>
      console.table(
        result.rows.map((r) => ({
          ...r,
          msPerAnswer: r.msPerAnswer.toFixed(1),
          timeShare: r.timeShare.toFixed(2),
          workShare: r.workShare.toFixed(2),
        })),
      ),
    );
    if (rows.some((r) => r.equal !== r.n)) process.exitCode = 1;
  },
});

export const benchCacheCommand = defineCommand({
  meta: { name: "cache", description: "Bytes a token and accuracy under every cache strategy" },
  examples: ["fathom bench cache --limit 10 --json"],
  args: { ...SHARED_ARGS, docs: { type: "string", description: "write the table into this folder" } },
  async run({ args }) {
    const { model, problems } = await prepare(args);
    const total = problems.length * cacheStrategies(model.config.coreLayers).length * 2;
    const { rows } = await runBench(
      "cache",
      args,
      async () => ({ rows: await withProgress(total, "answers", (step) => compareCaches(model, problems, step)) }),
      (result) => console.table(result.rows),
    );
    if (args.docs !== undefined)
      await writeFile(join(args.docs, "cache-table.md"), cacheTable(model.card.id, rows, "fathom bench cache --docs docs"));
  },
});
