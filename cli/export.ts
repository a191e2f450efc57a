/**
 * fathom export --format onnx MODEL OUT: a model as three ONNX graphs, with its tokenizer, template and card. Written
 * beside OUT first, opened and run there by onnxruntime-web, and moved when all is well.
 */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { defineCommand } from "citty";
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { FathomError } from "../engine/errors.ts";
import { readConfig, readWeights } from "../engine/model/folder.ts";
import type { OnnxBackend } from "../onnx/backend.ts";
import { graphFile, MANIFEST, manifestOf } from "../onnx/folder.ts";
import { exportGraph } from "../onnx/graphs.ts";
import { openNodeOnnxFolder } from "../onnx/node.ts";
import { GRAPHS } from "../onnx/signature.ts";
import { collectWeights, ONNX_FORMATS, type OnnxFormat } from "../onnx/weights.ts";
import { choice } from "./arguments.ts";
import { diskFolder } from "./files.ts";
import { modelPath } from "./models.ts";

/** Copied as they are, where the model has them. */
const COMPANIONS = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "card.json"];

export const exportCommand = defineCommand({
  meta: { name: "export", description: "Write a model as ONNX graphs: prelude, core, coda with head" },
  args: {
    model: { type: "positional", required: true, description: "a model folder, or the name of a shipped model" },
    out: { type: "positional", required: true, description: "folder to write; files of the same names in it are replaced" },
    format: { type: "string", default: "onnx", description: "onnx" },
    quant: { type: "string", default: "f32", description: ONNX_FORMATS.join(" or ") },
  },
  async run({ args }) {
    choice("--format", args.format, ["onnx"]);
    const { out, files } = await exportOnnx(args.model, args.out, choice("--quant", args.quant, ONNX_FORMATS));
    console.log(`${out}: ${files.map(({ name, bytes }) => `${name} ${(bytes / 1e6).toFixed(2)} MB`).join(", ")}; run by onnxruntime-web`);
  },
});

export interface ExportedFiles {
  readonly out: string;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}

/** Exports a folder. @throws {FathomError} and leaves OUT as it was. */
export async function exportOnnx(model: string, out: string, format: OnnxFormat): Promise<ExportedFiles> {
  const source = modelPath(model);
  const target = resolve(out);
  const folder = diskFolder(source);
  const config = await readConfig(folder);
  const weights = await collectWeights(format, (sink) => readWeights(folder, config, sink));
  await mkdir(dirname(target), { recursive: true });
  const staging = await mkdtemp(`${target}.partial-`);
  try {
    const files: { name: string; bytes: number }[] = [];
    for (const graph of GRAPHS) {
      const bytes = exportGraph(config, weights, graph);
      await writeFile(join(staging, graphFile(graph)), bytes);
      files.push({ name: graphFile(graph), bytes: bytes.length });
    }
    await writeFile(join(staging, MANIFEST), JSON.stringify(manifestOf(config, format), null, 2) + "\n");
    for (const name of COMPANIONS) await copyIfThere(join(source, name), join(staging, name));
    await tryOut(await openNodeOnnxFolder(diskFolder(staging)));
    await moveInto(staging, target);
    return { out: target, files };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function copyIfThere(from: string, to: string): Promise<void> {
  const bytes = await readFile(from).catch(() => undefined);
  if (bytes !== undefined) await writeFile(to, bytes);
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

/** Files of the new folder replace those of the old one; other files there stay. */
async function moveInto(staging: string, target: string): Promise<void> {
  const existing = await stat(target).catch(() => undefined);
  if (existing === undefined) return rename(staging, target);
  if (!existing.isDirectory()) throw new FathomError("invalid_request", `${target} is a file; give a folder to write to.`, "out");
  for (const name of await readdir(staging)) await rename(join(staging, name), join(target, name));
}
