/**
 * fathom convert SRC OUT --quant f32|q8|q4: a published checkpoint (f32, f16, bf16, sharded or not) becomes a model
 * folder. Everything is written beside OUT first and moved there when complete, so that nothing is left half-written.
 */
import { open, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { writeSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { defineCommand } from "citty";
import { defaultCard, parseCard, readCard, type CardJson } from "../engine/model/card.ts";
import { convertingSink, planConversion, TARGET_FORMATS, type ConversionPlan, type TargetFormat } from "../engine/model/convert.ts";
import { readConfig, readWeights, type ModelFolder } from "../engine/model/folder.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { FathomError } from "../engine/errors.ts";
import { choice, wholeNumber } from "./arguments.ts";
import { diskFolder } from "./files.ts";

/** Copied as they are, where the source has them. */
const COMPANIONS = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];

export const convertCommand = defineCommand({
  meta: { name: "convert", description: "Make a model folder from a published checkpoint, quantised if wanted" },
  args: {
    source: { type: "positional", required: true, description: "folder with config.json and model.safetensors (or shards and index)" },
    out: { type: "positional", required: true, description: "model folder to write; replaced where it was made by convert before" },
    quant: { type: "string", default: "q4", description: "f32, q8 or q4 (embedding and head are q8 with q4)" },
    group: { type: "string", description: "columns that share a scale: 32, 64 or 128 [64 where the columns allow]" },
  },
  async run({ args }) {
    const format = choice("--quant", args.quant, TARGET_FORMATS);
    const group = args.group === undefined ? undefined : wholeNumber("--group", args.group, 32, 128);
    const { bytes, out } = await convert(args.source, args.out, format, group);
    console.log(`${out}: ${format}, ${(bytes / 1e6).toFixed(2)} MB of weights`);
  },
});

/** Converts a folder. @throws {FathomError} and leaves OUT as it was. */
export async function convert(source: string, out: string, format: TargetFormat, group?: number): Promise<{ bytes: number; out: string }> {
  const target = resolve(out);
  const folder = diskFolder(source);
  const config = await readConfig(folder);
  const plan = planConversion(config, format, group);
  await mkdir(dirname(target), { recursive: true });
  const staging = await mkdtemp(`${target}.partial-`);
  try {
    await writeWeights(folder, config, plan, join(staging, "model.safetensors"));
    await copyCompanions(source, staging);
    await writeFile(join(staging, "card.json"), JSON.stringify(await cardFor(folder, config, format, basename(target)), null, 2) + "\n");
    await moveInto(staging, target);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return { bytes: plan.header.length + plan.dataBytes, out: target };
}

async function writeWeights(folder: ModelFolder, config: ModelConfig, plan: ConversionPlan, path: string): Promise<void> {
  const file = await open(path, "w");
  try {
    writeSync(file.fd, plan.header, 0, plan.header.length, 0);
    const sink = convertingSink(plan, (tensor, bytes) => writeSync(file.fd, bytes, 0, bytes.length, plan.header.length + tensor.begin));
    await readWeights(folder, config, sink);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function copyCompanions(source: string, target: string): Promise<void> {
  for (const name of COMPANIONS) {
    const bytes = await readFile(join(source, name)).catch(() => undefined);
    if (bytes !== undefined) await writeFile(join(target, name), bytes);
  }
}

/** The source's card where it has one, else a default; measured figures belong to the old weights and are dropped. */
async function cardFor(folder: ModelFolder, config: ModelConfig, format: TargetFormat, id: string): Promise<CardJson> {
  const text = await folder.readText("card.json");
  const {
    exitRule: _rule,
    cacheStrategy: _cache,
    qualityMeasuredBy: _by,
    calibration: _speed,
    ...card
  } = text === undefined ? parseCard(defaultCard(id, config)) : await readCard(folder, config);
  return { ...card, quantisation: { format, embedding: format === "f32" ? "f32" : "q8" }, quality: [], exits: [] };
}

/** Files of the new folder replace those of the old one; other files there (evaluation data, say) stay. */
async function moveInto(staging: string, target: string): Promise<void> {
  const existing = await stat(target).catch(() => undefined);
  if (existing === undefined) return rename(staging, target);
  if (!existing.isDirectory()) throw new FathomError("invalid_request", `${target} is a file; give a folder to write to.`, "out");
  for (const name of ["model.safetensors", "card.json", ...COMPANIONS])
    await rename(join(staging, name), join(target, name)).catch((error: { code?: string }) => {
      if (error.code !== "ENOENT") throw error;
    });
}
