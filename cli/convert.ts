/**
 * fathom convert SRC OUT --quant f32|q8|q4: a published checkpoint (f32, f16, bf16, sharded or not) becomes a model
 * folder. All that can be known beforehand is checked before a byte is written.
 */
import { open, type FileHandle, statfs, writeFile } from "node:fs/promises";
import { writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isModelId, namedFiles, parseCard, readCard, servingCard, type CardJson } from "../engine/model/card.ts";
import {
  convertingSink,
  planConversion,
  TARGET_FORMATS,
  type ConversionPlan,
  type StoreBytes,
  type TargetFormat,
} from "../engine/model/convert.ts";
import { CARD, checkedFolder } from "../engine/model/file-list.ts";
import { checkWeights, readConfig, readWeights, SHARD_INDEX, type ModelFolder } from "../engine/model/folder.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { QuantiseTiles } from "../engine/model/quantise.ts";
import { readTokenizer } from "../engine/model/tokenizer.ts";
import { FathomError } from "../engine/errors.ts";
import { planFiles, type FilePlan } from "../engine/model/shards.ts";
import { choice, memoryBytes, wholeNumber } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { plannedForms, planLines } from "./convert-plan.ts";
import { listFiles } from "./digests.ts";
import { diskFolder } from "./files.ts";
import { copyCompanions, type Maker } from "./model-files.ts";
import { nodeQuantiser } from "../wasm/node-quantiser.ts";
import { checkOutput, writeFolder } from "./output-folder.ts";
import { qualityReport, type QualityRow } from "./quality-report.ts";
import { withReports } from "./progress.ts";
import { watchedFolder } from "./watched-folder.ts";

export const convertCommand = defineCommand({
  meta: { name: "convert", description: "Make a model folder from a published checkpoint, quantised if wanted" },
  examples: [
    "fathom convert ./huginn-0125 ./huginn-q4 --quant q4",
    "fathom convert ./large ./large-q4 --shard 24MiB",
    "fathom convert ./ouro-1.4b ./ouro-q4 --dry-run",
    "fathom convert ./trained ./trained-q4 --report",
  ],
  args: {
    source: { type: "positional", required: true, description: "folder with config.json and model.safetensors (or shards and index)" },
    out: { type: "positional", required: true, description: "model folder to write; replaced where convert made it" },
    quant: { type: "string", default: "q4", description: "f32, q8 or q4 (embedding and head are q8 with q4)" },
    group: { type: "string", description: "columns that share a scale: 32, 64 or 128 [64 where the columns allow]" },
    shard: { type: "string", description: "cut the weights into files of at most so much; static assets take 25MiB [one file]" },
    id: { type: "string", description: "name in the API [the source's card, else the name of OUT]" },
    tokenizer: {
      type: "boolean",
      default: true,
      description: "refuse a source without a readable tokenizer; --no-tokenizer: weights alone",
    },
    force: { type: "boolean", default: false, description: "replace the model in a folder that convert did not make; other files stay" },
    json: { type: "boolean", default: false, description: "print one JSON object" },
    report: {
      type: "boolean",
      default: false,
      description: "then compare result and source on a text at 1, 4, 16 and 32 iterations; both must fit the Wasm core",
    },
    "report-text": { type: "string", description: "the text of the report [one of its own]" },
    "dry-run": { type: "boolean", default: false, description: "only say what it would make, how large, and what runs it" },
  },
  async run({ args }) {
    const format = choice("--quant", args.quant, TARGET_FORMATS);
    const group = args.group === undefined ? undefined : wholeNumber("--group", args.group, 32, 128);
    if (args["dry-run"]) {
      const folder = await checkedFolder(diskFolder(args.source));
      const config = await readConfig(folder);
      await checkSource(folder, config);
      const refusal = await refusalOf(folder, config, args.tokenizer, () => planConversion(config, format, group));
      if (args.json) return console.log(JSON.stringify({ family: config.family, forms: plannedForms(config, group), refusal }));
      for (const line of planLines(config, format, group)) console.log(line);
      if (refusal !== undefined) console.log(`convert would refuse it: ${refusal}`);
      return;
    }
    const { tokenizer: needsTokenizer, id, force } = args;
    const shardBytes = args.shard === undefined ? undefined : memoryBytes("--shard", args.shard);
    const { bytes, files, out } = await convert(args.source, args.out, format, { group, id, force, needsTokenizer, shardBytes });
    const cut = files > 1 ? ` in ${files} files` : "";
    const report = args.report ? await qualityReport(args.source, out, args["report-text"]) : undefined;
    if (args.json) return console.log(JSON.stringify({ out, format, bytes, files, ...(report && { report }) }));
    console.log(`${out}: ${format}, ${(bytes / 1e6).toFixed(2)} MB of weights${cut}`);
    if (report !== undefined) console.table(report.map(roundedRow));
  },
});

function roundedRow(row: QualityRow): object {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value.toPrecision(3))]));
}

export interface ConvertOptions {
  /** Columns that share a scale: 32, 64 or 128. [default 64 where the columns allow] */
  readonly group?: number | undefined;
  /** Name in the API. [default the source's card, else the name of the folder] */
  readonly id?: string | undefined;
  /** Replace the model in a folder that convert did not make. [default false] */
  readonly force?: boolean | undefined;
  /** Refuse a source whose tokenizer is missing or cannot be read: the model could not be asked. [default false] */
  readonly needsTokenizer?: boolean | undefined;
  /** Most bytes of a file of weights. [default any: one file] */
  readonly shardBytes?: number | undefined;
  /** [default the one in WebAssembly] */
  readonly quantise?: QuantiseTiles | undefined;
}

const MAKER: Maker = "fathom convert";

/** Converts a folder. @throws {FathomError} and leaves OUT as it was. */
export async function convert(
  source: string,
  out: string,
  format: TargetFormat,
  { group, id, force, needsTokenizer, shardBytes, quantise }: ConvertOptions = {},
): Promise<{ bytes: number; files: number; out: string }> {
  const folder = await checkedFolder(diskFolder(source));
  const config = await readConfig(folder);
  if (needsTokenizer) await checkTokenizer(folder, config);
  const target = await checkOutput(out, { source, maker: MAKER, force });
  const plan = planConversion(config, format, group);
  const shape = planFiles(plan, shardBytes);
  const bytes = shape.files.reduce((sum, { header, dataBytes }) => sum + header.length + dataBytes, 0);
  const card = await cardFor(folder, config, format, id, basename(target));
  await checkSource(folder, config);
  await checkRoom(dirname(target), bytes);
  await writeFolder(target, async (staging) => {
    const quantiser = quantise === undefined ? await nodeQuantiser() : { quantise, stop: () => undefined };
    await writeWeights(folder, config, plan, shape, staging, quantiser.quantise).finally(quantiser.stop);
    await copyCompanions(source, staging, namedFiles(card));
    await writeFile(join(staging, CARD), JSON.stringify({ ...card, files: await listFiles(staging) }, null, 2) + "\n");
  });
  return { bytes, files: shape.files.length, out: target };
}

/** @throws {FathomError} invalid_tokenizer, invalid_template, with the way out */
async function checkTokenizer(folder: ModelFolder, config: ModelConfig): Promise<void> {
  await readTokenizer(folder, config).catch((cause: unknown) => {
    if (!(cause instanceof FathomError)) throw cause;
    const advice = "Put the publisher's tokenizer beside the weights, or add --no-tokenizer: the model then cannot be asked.";
    throw new FathomError(cause.code, `${cause.message} ${advice}`, cause.param, { cause });
  });
}

/** Why a conversion would be refused that has not begun. @param plan throws where the form does not fit */
async function refusalOf(
  folder: ModelFolder,
  config: ModelConfig,
  needsTokenizer: boolean,
  plan: () => unknown,
): Promise<string | undefined> {
  try {
    plan();
    if (needsTokenizer) await checkTokenizer(folder, config);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** @throws {FathomError} what would fail midway: tensors that are missing, do not fit, or are quantised already */
async function checkSource(folder: ModelFolder, config: ModelConfig): Promise<void> {
  const { quantised } = await checkWeights(folder, config);
  if (quantised > 0)
    throw new FathomError(
      "invalid_request",
      `The source is already quantised (${quantised} tensors of ${folder.name}); convert from the f32, f16 or bf16 checkpoint.`,
      "source",
    );
}

/** @throws {FathomError} invalid_request where the disk has less than `bytes` free */
export async function checkRoom(path: string, bytes: number, free = freeBytes): Promise<void> {
  const there = await free(path);
  if (there === undefined || there >= bytes) return;
  const [needs, has] = [bytes, there].map((n) => `${(n / 1e9).toFixed(2)} GB`);
  throw new FathomError(
    "invalid_request",
    `The weights need ${needs}, but the disk of ${path} has ${has} free; make room, or write elsewhere.`,
    "out",
  );
}

/** Free bytes of the disk below a path; undefined where no folder of the path can be asked. */
async function freeBytes(path: string): Promise<number | undefined> {
  const stats = await statfs(path).catch(() => undefined);
  if (stats === undefined) return dirname(path) === path ? undefined : freeBytes(dirname(path));
  return stats.bavail * stats.bsize;
}

async function writeWeights(
  folder: ModelFolder,
  config: ModelConfig,
  plan: ConversionPlan,
  { files, places, index }: FilePlan,
  target: string,
  quantise: QuantiseTiles,
): Promise<void> {
  if (index !== undefined) await writeFile(join(target, SHARD_INDEX), index);
  const handles: FileHandle[] = [];
  try {
    for (const { name, header } of files) {
      handles.push(await open(join(target, name), "w"));
      writeAll(handles.at(-1)!.fd, header, 0);
    }
    await withReports("MB read", (report) => {
      const store: StoreBytes = (tensor, bytes, at) => {
        const { file, begin } = places.get(tensor.spec.name)!;
        writeAll(handles[file]!.fd, bytes, files[file]!.header.length + begin + at);
      };
      return readWeights(watchedFolder(folder, report), config, convertingSink(plan, store, quantise));
    });
    for (const handle of handles) await handle.sync();
  } finally {
    for (const handle of handles) await handle.close();
  }
}

/** A single write may take only a part. */
function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
}

/** The source's card where it has one, else a default; measured figures belong to the old weights and are dropped. */
async function cardFor(
  folder: ModelFolder,
  config: ModelConfig,
  format: TargetFormat,
  id: string | undefined,
  folderName: string,
): Promise<CardJson> {
  const given = await folder.readText(CARD);
  const name = id ?? (given === undefined ? folderName : undefined);
  if (name !== undefined && !isModelId(name))
    throw new FathomError(
      "invalid_request",
      `${JSON.stringify(name)} is no name for a model (1 to 64 of letters, digits, "_", "." and "-"); give one by --id, or name the folder so.`,
      "--id",
    );
  const from = given === undefined ? parseCard(servingCard(name!, config)) : await readCard(folder, config);
  const { exitRule: _rule, cacheStrategy: _cache, qualityMeasuredBy: _by, calibration: _speed, ...card } = from;
  const quantisation = { format, embedding: format === "f32" ? "f32" : "q8" };
  return { ...card, ...(name !== undefined && { id: name }), madeBy: MAKER, quantisation, quality: [], exits: [] };
}
