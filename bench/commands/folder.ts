/**
 * fathom bench loading, fathom bench convert: options and output of bench/loading.ts and convert.ts. Folders with random weights
 * are made for them and removed.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { largeConfig, writeRandomModel } from "../checkpoint.ts";
import { benchConvert, type ConvertRow } from "../convert.ts";
import { benchLoading, type LoadingRow } from "../loading.ts";
import { defaultCard } from "../../engine/model/card.ts";
import { parseConfig } from "../../engine/model/config.ts";
import { wholeNumber } from "../../cli/arguments.ts";
import { defineCommand } from "../../cli/command.ts";
import { listFiles } from "../../cli/digests.ts";
import { diskFolder } from "../../cli/files.ts";
import { DEFAULT_MODEL, modelPath } from "../../cli/models.ts";
import { withProgress } from "../../cli/progress.ts";
import { OUTPUT_ARGS, runBench } from "./output.ts";

export const benchLoadingCommand = defineCommand({
  meta: { name: "loading", description: "Load time with and without digests: a model, and 118 MB of random q4 weights" },
  examples: ["fathom bench loading --rounds 21"],
  args: {
    model: { type: "string", default: DEFAULT_MODEL, description: "a model folder, or the name of a shipped model" },
    rounds: { type: "string", default: "11", description: "interleaved rounds; the fastest is shown" },
    ...OUTPUT_ARGS,
  },
  async run({ args }) {
    const rounds = wholeNumber("--rounds", args.rounds, 1, 1000);
    const measure = (): Promise<{ rows: LoadingRow[] }> =>
      withProgress(2 * (rounds + 1), "rounds", (step) =>
        withTemporaryFolder(async (folder) => {
          await writeLargeModel(folder);
          const shipped = await benchLoading(diskFolder(modelPath(args.model)), args.model, rounds, step);
          return { rows: [shipped, await benchLoading(diskFolder(folder), "random q4", rounds, step)] };
        }),
      );
    await runBench("loading", args, measure, ({ rows }) => console.table(rows.map(rounded)));
  },
});

function rounded(row: object): object {
  return Object.fromEntries(Object.entries(row).map(([key, value]) => [key, typeof value === "number" ? Number(value.toFixed(2)) : value]));
}

export const benchConvertCommand = defineCommand({
  meta: { name: "convert", description: "Speed of fathom convert with each quantiser, on random f32 weights" },
  examples: ["fathom bench convert --layers 12 --rounds 3"],
  args: {
    layers: { type: "string", default: "4", description: "core layers of the checkpoint: 51 MB each, and 221 MB besides" },
    rounds: { type: "string", default: "3", description: "interleaved rounds; medians are shown" },
    ...OUTPUT_ARGS,
  },
  async run({ args }) {
    const [layers, rounds] = [wholeNumber("--layers", args.layers, 1, 100), wholeNumber("--rounds", args.rounds, 1, 100)];
    const measure = (): Promise<{ rows: ConvertRow[] }> =>
      withTemporaryFolder(async (folder) => {
        const source = join(folder, "source");
        await mkdir(source);
        const bytes = await writeRandomModel(source, largeConfig(layers), "f32");
        return { rows: await withProgress(2 * rounds, "rounds", (step) => benchConvert(source, bytes, rounds, step)) };
      });
    await runBench("convert", args, measure, ({ rows }) => console.table(rows.map(rounded)));
  },
});

async function writeLargeModel(folder: string): Promise<void> {
  const json = largeConfig();
  await writeRandomModel(folder, json, "q4");
  const card = { ...defaultCard("random", parseConfig(json)), files: await listFiles(folder) };
  await writeFile(join(folder, "card.json"), JSON.stringify(card));
}

async function withTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "fathom-bench-"));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}
