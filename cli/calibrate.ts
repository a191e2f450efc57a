/**
 * fathom calibrate: how long a work unit takes on this host and build, written into the model's card.json, so that
 * budgets in milliseconds and dollars become work.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Calibration } from "../engine/budget/calibration.ts";
import { FathomError } from "../engine/errors.ts";
import { choice, wholeNumber } from "./arguments.ts";
import { calibrate } from "./calibration.ts";
import { changeCard, whereWritten } from "./card-file.ts";
import { defineCommand } from "./command.ts";
import { readProblems } from "./eval-score.ts";
import { candidateRules, measureExits } from "./measured-exits.ts";
import { BACKENDS, DEFAULT_MODEL, CORE, loadNodeModel, modelPath } from "./models.ts";
import { withProgress } from "./progress.ts";

export const calibrateCommand = defineCommand({
  meta: { name: "calibrate", description: "Measure milliseconds per work unit on this host, and write them into card.json" },
  examples: ["fathom calibrate --model ./my-model --dry-run"],
  args: {
    model: { type: "string", default: DEFAULT_MODEL, description: "a model folder, or the name of a shipped model" },
    backend: { type: "string", default: "wasm", description: BACKENDS.join(" or ") },
    ...CORE,
    requests: { type: "string", default: "200", description: "requests that p50 and p95 are taken from" },
    json: { type: "boolean", default: false, description: "print one JSON object" },
    exits: { type: "boolean", default: false, description: "measure the model's exit rules, too, on its eval/ folder" },
    "dry-run": { type: "boolean", default: false, description: "measure, but leave card.json as it is" },
  },
  async run({ args }) {
    const requests = wholeNumber("--requests", args.requests, 20, 100_000);
    const model = await loadNodeModel(args.model, choice("--backend", args.backend, BACKENDS), args);
    const problems = args.exits ? await readProblems(await dataFiles(args.model), CARD_PROBLEMS) : [];
    const calibration = await withProgress(requests, "requests", (step) => calibrate(model, requests, step));
    const answers = candidateRules(model).length * problems.length;
    const exits = args.exits ? await withProgress(answers, "answers", (step) => measureExits(model, problems, step)) : undefined;
    const measured = { calibration, ...(exits && { exits }) };
    const written = args["dry-run"] ? undefined : await changeCard(modelPath(args.model), (card) => ({ ...card, ...measured }));
    if (args.json) console.log(JSON.stringify({ ...calibration, ...(exits && { exits }) }));
    else {
      if (exits) console.table(exits.map(({ exit, ...row }) => ({ ...exit, ...row })));
      console.log(summary(calibration));
    }
    if (written !== undefined) console.error(whereWritten(written));
  },
});

/** Problems of each task and level that a card's exit rules are measured on; benchmarks use those after them. */
export const CARD_PROBLEMS = 15;

/** The data sets in a model's folder. */
export async function dataFiles(model: string): Promise<string[]> {
  const folder = join(modelPath(model), "eval");
  const files = await readdir(folder).catch((cause: unknown) => {
    throw new FathomError(
      "invalid_request",
      `There is no folder ${folder} with data sets (JSONL files of prompts and answers).`,
      "--model",
      { cause },
    );
  });
  return files.filter((f) => f.endsWith(".jsonl")).map((f) => join(folder, f));
}

function summary({ msPerUnit, overheadMs, samples, backend, host }: Calibration): string {
  return (
    `${backend} on ${host}: ${msPerUnit.p50} ms a unit (p50), ${msPerUnit.p95} (p95), ` +
    `${overheadMs} ms a request beside; ${samples} requests`
  );
}
