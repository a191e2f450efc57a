/**
 * A model folder: config.json, generation_config.json, model.safetensors (or shards with an index), tokenizer.json,
 * card.json and chat_template.jinja, wherever they lie. The host hands in how to read a file; what is in them is checked here.
 */
import { FathomError } from "../errors.ts";
import { checkCheckpoint, readCheckpoint, type Shard, type WeightSink } from "./checkpoint.ts";
import { parseConfig, type FamilyName, type ModelConfig } from "./config.ts";
import { CONFIG } from "./fields/config.ts";
import { doubts } from "./fields/field.ts";
import { GENERATION } from "./fields/generation.ts";
import { readSafetensorsHeader, type ByteSource } from "./safetensors.ts";

/** A host's way to the files of one model. */
export interface ModelFolder {
  /** The folder's name, for messages. */
  readonly name: string;
  /** The whole text of a file; undefined where there is none. */
  readText(file: string): Promise<string | undefined>;
  /** A file's bytes, from the start; undefined where there is none. */
  open(file: string): Promise<ByteSource | undefined>;
  /** Gets a line that whoever runs this should read: what is doubtful in the files, but not wrong enough to refuse. */
  notice?(line: string): void;
  /** Where a file lies, for messages. [default below `name`] */
  pathOf?(file: string): string;
  /** The folder that another one's card names as its base, such as a sibling; undefined where there is none. */
  beside?(base: string): ModelFolder | undefined;
  /** SHA-256, as WebCrypto's digest gives it; without it, files are not checked against the card's list. */
  sha256?(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer | Promise<ArrayBuffer>;
}

export const WEIGHTS = "model.safetensors";
export const SHARD_INDEX = "model.safetensors.index.json";

const GENERATION_CONFIG = "generation_config.json";

/**
 * Reads config.json and generation_config.json, and the names of the checkpoint's tensors to tell its variant.
 * @throws {FathomError} invalid_config, invalid_checkpoint
 */
export async function readConfig(folder: ModelFolder): Promise<ModelConfig> {
  const { json, generation } = await readConfigFiles(folder);
  const config = parseConfig(json, await readTensorNames(folder), generation);
  for (const doubt of [...doubts(CONFIG, json), ...doubts(GENERATION, generation)]) folder.notice?.(`${folder.name}: ${doubt}`);
  return config;
}

/** Reads config.json of a folder without a checkpoint; tells no doubts. */
export async function readConfigFor(folder: ModelFolder, family: FamilyName): Promise<ModelConfig> {
  const { json, generation } = await readConfigFiles(folder);
  return parseConfig(json, undefined, generation, family);
}

async function readConfigFiles(folder: ModelFolder): Promise<{ json: unknown; generation: unknown }> {
  const json = await readJson(folder, "config.json", "invalid_config");
  const text = await folder.readText(GENERATION_CONFIG);
  return { json, generation: text === undefined ? {} : parseJson(folder, GENERATION_CONFIG, text, "invalid_config") };
}

async function readTensorNames(folder: ModelFolder): Promise<string[] | undefined> {
  const single = await folder.open(WEIGHTS);
  if (single !== undefined) return (await readSafetensorsHeader(single)).tensors.map((t) => t.name);
  const index = await readShardIndex(folder);
  return index && Object.keys(index);
}

/** A JSON file that must be there. */
export async function readJson(
  folder: ModelFolder,
  file: string,
  code: "invalid_config" | "invalid_card" | "invalid_tokenizer" | "invalid_checkpoint",
): Promise<unknown> {
  const text = await folder.readText(file);
  if (text === undefined)
    throw new FathomError(
      code,
      `${folder.name} has no ${file}; a model folder needs config.json, model.safetensors and tokenizer.json.`,
      file,
    );
  return parseJson(folder, file, text, code);
}

export function parseJson(
  folder: ModelFolder,
  file: string,
  text: string,
  code: "invalid_config" | "invalid_card" | "invalid_tokenizer" | "invalid_checkpoint",
): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FathomError(code, `${folder.name}/${file} is not JSON: ${(error as Error).message}.`, file, { cause: error });
  }
}

/** Streams the folder's weights, sharded or not, into a sink. @throws {FathomError} invalid_checkpoint, invalid_config */
export async function readWeights(folder: ModelFolder, config: ModelConfig, sink: WeightSink): Promise<void> {
  const { shards, shardOf } = await openWeights(folder);
  return readCheckpoint(shards, config, sink, shardOf);
}

/** Checks the weights by their headers alone. @throws {FathomError} invalid_checkpoint, invalid_config */
export async function checkWeights(folder: ModelFolder, config: ModelConfig): Promise<{ quantised: number }> {
  const { shards, shardOf } = await openWeights(folder);
  return checkCheckpoint(shards, config, shardOf);
}

async function openWeights(
  folder: ModelFolder,
): Promise<{ shards: AsyncIterable<Shard> | Iterable<Shard>; shardOf?: Readonly<Record<string, string>> }> {
  const single = await folder.open(WEIGHTS);
  if (single !== undefined) return { shards: [{ file: WEIGHTS, source: single }] };
  const shardOf = await readShardIndex(folder);
  if (shardOf === undefined) throw new FathomError("invalid_checkpoint", `${folder.name} has neither ${WEIGHTS} nor ${SHARD_INDEX}.`);
  return { shards: openShards(folder, [...new Set(Object.values(shardOf))].sort()), shardOf };
}

/** One after the other: a host may allow few responses to be under way at once (six in a Worker). */
async function* openShards(folder: ModelFolder, files: readonly string[]): AsyncGenerator<Shard> {
  for (const file of files) {
    const source = await folder.open(file);
    if (source === undefined)
      throw new FathomError("invalid_checkpoint", `${folder.name} lacks ${file}, which ${SHARD_INDEX} names.`, file);
    yield { file, source };
  }
}

/** weight_map of the index: tensor name -> file. undefined where there is no index. */
async function readShardIndex(folder: ModelFolder): Promise<Record<string, string> | undefined> {
  const index = await folder.readText(SHARD_INDEX);
  if (index === undefined) return undefined;
  const json = parseJson(folder, SHARD_INDEX, index, "invalid_checkpoint") as { weight_map?: unknown } | null;
  const shardOf = json?.weight_map;
  if (
    typeof shardOf !== "object" ||
    shardOf === null ||
    !Object.values(shardOf).every((file) => typeof file === "string" && !file.includes("/"))
  )
    throw new FathomError("invalid_checkpoint", `${folder.name}/${SHARD_INDEX} has no weight_map of tensor names to file names.`);
  return shardOf as Record<string, string>;
}
