/**
 * fathom export --format onnx MODEL OUT: a model as three ONNX graphs, with its tokenizer, template and card. Written
 * beside OUT first, opened and run there by onnxruntime-web, and moved when all is well.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { FathomError } from "../engine/errors.ts";
import { namedFiles, readCard } from "../engine/model/card.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { CARD, checkedFolder } from "../engine/model/file-list.ts";
import { readConfig, readWeights, type ModelFolder } from "../engine/model/folder.ts";
import type { OnnxBackend } from "../onnx/backend.ts";
import { graphFile, MANIFEST, manifestOf } from "../onnx/folder.ts";
import { exportGraph } from "../onnx/graphs.ts";
import { openNodeOnnxFolder } from "../onnx/node.ts";
import { STAGES } from "../engine/model/stage.ts";
import { collectWeights, ONNX_FORMATS, type OnnxFormat } from "../onnx/weights.ts";
import { choice } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { listFiles } from "./digests.ts";
import { diskFolder } from "./files.ts";
import { copyCompanions, type Maker } from "./model-files.ts";
import { modelPath } from "./models.ts";
import { checkOutput, writeFolder } from "./output-folder.ts";
import { withReports } from "./progress.ts";
import { watchedFolder } from "./watched-folder.ts";

const MAKER: Maker = "fathom export";

export const exportCommand = defineCommand({
  meta: { name: "export", description: "Write a model as ONNX graphs: prelude, core, coda with head" },
  examples: ["fathom export nano ./nano-onnx --quant q8"],
  args: {
    model: { type: "positional", required: true, description: "a model folder, or the name of a shipped model" },
    out: { type: "positional", required: true, description: "folder to write; replaced where export made it" },
    format: { type: "string", default: "onnx", description: "onnx" },
    quant: { type: "string", default: "f32", description: ONNX_FORMATS.join(" or ") },
    force: { type: "boolean", default: false, description: "replace the model in a folder that export did not make; other files stay" },
    json: { type: "boolean", default: false, description: "print one JSON object" },
  },
  async run({ args }) {
    choice("--format", args.format, ["onnx"]);
    const { out, files } = await exportOnnx(args.model, args.out, choice("--quant", args.quant, ONNX_FORMATS), args.force);
    if (args.json) return console.log(JSON.stringify({ out, files }));
    console.log(`${out}: ${files.map(({ name, bytes }) => `${name} ${(bytes / 1e6).toFixed(2)} MB`).join(", ")}; run by onnxruntime-web`);
  },
});

export interface ExportedFiles {
  readonly out: string;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}

/** Exports a folder. @throws {FathomError} and leaves OUT as it was. */
export async function exportOnnx(model: string, out: string, format: OnnxFormat, force = false): Promise<ExportedFiles> {
  const source = modelPath(model);
  const target = await checkOutput(out, { source, maker: MAKER, force });
  const folder = await checkedFolder(diskFolder(source));
  const config = await readConfig(folder);
  const weights = await collectWeights(format, (sink) =>
    withReports("MB of the model read", (report) => readWeights(watchedFolder(folder, report), config, sink)),
  );
  const files: { name: string; bytes: number }[] = [];
  await writeFolder(target, async (staging) => {
    for (const graph of STAGES) {
      const bytes = exportGraph(config, weights, graph);
      await writeFile(join(staging, graphFile(graph)), bytes);
      files.push({ name: graphFile(graph), bytes: bytes.length });
    }
    await writeFile(join(staging, MANIFEST), JSON.stringify(manifestOf(config, weights), null, 2) + "\n");
    await copyCompanions(source, staging, namedFiles(await readCard(folder, config)));
    await writeFamily(config, join(staging, "config.json"));
    await writeCard(folder, config, staging);
    await tryOut(await openNodeOnnxFolder(diskFolder(staging)));
  });
  return { out: target, files };
}

/** The tensors that told the family stay behind. */
async function writeFamily({ family }: ModelConfig, path: string): Promise<void> {
  const json = JSON.parse(await readFile(path, "utf8")) as object;
  await writeFile(path, JSON.stringify({ ...json, fathom_family: family }, null, 2) + "\n");
}

/** The model's card as it is, but for who wrote the folder and what is in it. */
async function writeCard(folder: ModelFolder, config: ModelConfig, path: string): Promise<void> {
  const { exitRule: _rule, cacheStrategy: _cache, ...card } = await readCard(folder, config);
  const made = { ...card, madeBy: MAKER, files: await listFiles(path) };
  await writeFile(join(path, CARD), JSON.stringify(made, null, 2) + "\n");
}

/** Two tokens, two iterations, through all three graphs and the cache. */
async function tryOut(backend: OnnxBackend): Promise<void> {
  const sequence = backend.openSequence({ capacity: 2, maxIterations: 2, cache: parseCacheStrategy("full") });
  for (const token of [0, 1]) {
    const rows = await backend.prelude([{ sequence, token }]);
    for (let t = 0; t < 2; t++) await backend.iterate(rows);
    const [logits] = await backend.readout(rows, rows);
    if (!logits!.every(Number.isFinite))
      throw new FathomError("invalid_checkpoint", "The exported graphs give logits that are not numbers; check the model's weights.");
  }
  await backend.close();
}
