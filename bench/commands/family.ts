/**
 * fathom bench family: options and output of bench/family.ts.
 */
import { benchFamily, type FamilyRow } from "../family.ts";
import { FAMILY_SHAPES, type FamilyShape } from "../family-shapes.ts";
import { choice, list, wholeNumber, wholeNumbers } from "../../cli/arguments.ts";
import { defineCommand } from "../../cli/command.ts";
import { withProgress } from "../../cli/progress.ts";
import { OUTPUT_ARGS, runBench } from "./output.ts";

const SHAPES = Object.keys(FAMILY_SHAPES) as FamilyShape[];

export const benchFamilyCommand = defineCommand({
  meta: { name: "family", description: "Convert, load and decode models of the published sizes, with random weights" },
  examples: ["fathom bench family --shapes ouro-1.4b", "fathom bench family --shrink 8 --iterations 1,4"],
  args: {
    shapes: { type: "string", default: SHAPES.join(","), description: `of ${SHAPES.join(", ")}; the first takes 18 GB of disk` },
    shrink: { type: "string", default: "1", description: "make vocabulary and MLP so many times narrower" },
    iterations: { type: "string", default: "1,4,32", description: "core iterations, comma-separated" },
    threads: { type: "string", default: "1,2", description: "threads, comma-separated" },
    folder: { type: "string", description: "where checkpoints are made, and removed again [the system's temporary folder]" },
    ...OUTPUT_ARGS,
  },
  async run({ args }) {
    const shapes = list("--shapes", args.shapes).map((name) => choice("--shapes", name, SHAPES));
    const options = {
      shrink: wholeNumber("--shrink", args.shrink, 1, 64),
      iterations: wholeNumbers("--iterations", args.iterations, 1, 1024),
      threads: wholeNumbers("--threads", args.threads, 1, 64),
      folder: args.folder,
    };
    const measure = (): Promise<{ rows: FamilyRow[] }> =>
      withProgress(shapes.length * (3 + options.threads.length), "steps", async (step) => {
        const rows: FamilyRow[] = [];
        for (const name of shapes) rows.push(...(await benchFamily(name, options, step)));
        return { rows };
      });
    await runBench("family", args, measure, ({ rows }) => console.table(rows.map(rounded)));
  },
});

function rounded(row: FamilyRow): object {
  return Object.fromEntries(
    Object.entries(row).map(([key, value]) => [key, typeof value === "number" ? Number(value.toPrecision(3)) : value]),
  );
}
