/**
 * fathom train labels.jsonl --base MODEL --out FOLDER: a user's own labels over a model's frozen states, fitted in minutes on
 * a CPU. Only options and output; the work is in label-training/.
 */
import { FathomError } from "../engine/errors.ts";
import { nodeRegression } from "../wasm/node.ts";
import { choice, list } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { baseName, MAKER, modelName, writeLabels } from "./label-training/folder.ts";
import { readLabelledQuestions } from "./label-training/lines.ts";
import { confusionTable, reportOf, summaryOf } from "./label-training/report.ts";
import { trainLabels } from "./label-training/train.ts";
import { hasBase } from "./model-files.ts";
import { BACKENDS, CORE, loadNodeModel, modelPath } from "./models.ts";
import { checkOutput, writeFolder } from "./output-folder.ts";

export const trainCommand = defineCommand({
  meta: { name: "train", description: "Teach a model your own labels from a few rows each" },
  examples: [
    "fathom train labels.jsonl --base ./decider --out ./my-model",
    "fathom train a.jsonl,b.jsonl --base ./decider --out ./my-model --json",
  ],
  args: {
    labels: {
      type: "positional",
      required: true,
      description: 'JSONL files, comma-separated; lines {"input", "label"} or {"input", "question", "gold"}',
    },
    base: {
      type: "string",
      description: "the model whose states are read: a folder, or the name of a shipped model; its card has a match",
    },
    out: { type: "string", description: "model folder to write, a few kB; replaced where train made it" },
    id: { type: "string", description: "name in the API [the name of OUT]" },
    backend: { type: "string", default: "wasm", description: BACKENDS.join(" or ") },
    ...CORE,
    force: { type: "boolean", default: false, description: "replace the model in a folder that train did not make; other files stay" },
    json: { type: "boolean", default: false, description: "print one JSON object" },
  },
  async run({ args }) {
    if (args.base === undefined) throw missing("--base", "the model to start from");
    if (args.out === undefined) throw missing("--out", "the folder to write");
    const files = list("labels", args.labels);
    const backend = choice("--backend", args.backend, BACKENDS);
    const base = modelPath(args.base);
    if (hasBase(base))
      throw new FathomError(
        "invalid_request",
        `${base} holds own labels over another base; train over that base, with the rows of both.`,
        "--base",
      );
    const id = modelName(args.out, args.id);
    const target = await checkOutput(args.out, { source: base, maker: MAKER, force: args.force });
    const named = await baseName(target, base);
    const questions = await readLabelledQuestions(files);
    const model = await loadNodeModel(base, backend, args);
    const startMs = performance.now();
    const trained = await trainLabels(model, questions, await nodeRegression());
    const seconds = (performance.now() - startMs) / 1000;
    const reports = trained.map(reportOf);
    const training = { base: model.card.id, questions: reports.map(({ confusion: _confusion, ...figures }) => figures) };
    let bytes = 0;
    await writeFolder(target, async (staging) => {
      bytes = await writeLabels(staging, { base, named, card: model.card, id }, trained, training);
    });
    if (args.json) return console.log(JSON.stringify({ model: id, out: target, bytes, seconds, questions: reports }));
    for (const report of reports) {
      const { title, lines } = confusionTable(report);
      console.log(`${summaryOf(report)}\n  ${title}:`);
      console.table(lines);
    }
    console.log(`${target}: ${(bytes / 1000).toFixed(1)} kB of labels over ${model.card.id}, in ${seconds.toFixed(1)} s`);
  },
});

function missing(option: string, what: string): FathomError {
  return new FathomError("invalid_request", `${option} is missing: ${what}.`, option);
}
