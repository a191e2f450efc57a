/**
 * The folder of trained labels: their vectors, and a card that is the base's own but for names, digests and figures. Some
 * kilobytes; the base's files stay where they are.
 */
import { mkdir, readFile, realpath, writeFile } from "node:fs/promises";
import { basename, join, relative, resolve, sep } from "node:path";
import { FathomError } from "../../engine/errors.ts";
import { isModelId, type CardJson, type ModelCard } from "../../engine/model/card.ts";
import { CARD, readFileList, type FileList } from "../../engine/model/file-list.ts";
import { LABELS_METADATA, labelTensors, type LabelSetRecord } from "../../engine/model/labels.ts";
import { describeFile, listFiles } from "../digests.ts";
import { basePath, diskFolder } from "../files.ts";
import type { Maker } from "../model-files.ts";
import { f16Bytes } from "./half.ts";
import type { TrainedQuestion } from "./train.ts";

export const MAKER: Maker = "fathom train";
const FILE = "labels.safetensors";

/** @param out the folder's path, for its name @throws {FathomError} invalid_request where it is no name for a model */
export function modelName(out: string, id: string | undefined): string {
  const name = id ?? basename(resolve(out));
  if (isModelId(name)) return name;
  throw new FathomError(
    "invalid_request",
    `${JSON.stringify(name)} is no name for a model (1 to 64 of letters, digits, "_", "." and "-"); give one by --id, or name the folder so.`,
    "--id",
  );
}

/** How a folder names its base: by name where it is found so, else by the way to it. */
export async function baseName(out: string, base: string): Promise<string> {
  const path = await realpath(base);
  const name = basename(path);
  if (name === basename(resolve(out)))
    throw new FathomError(
      "invalid_request",
      `The base and the new model are both called ${name}; write to a folder of another name.`,
      "--out",
    );
  const found = basePath(out, name);
  if (found !== undefined && (await realpath(found)) === path) return name;
  return relative(resolve(out), path).split(sep).join("/");
}

/**
 * @param folder where to write: an empty folder
 * @param base   path of the base
 */
export async function writeLabels(
  folder: string,
  { base, named, card, id }: { readonly base: string; readonly named: string; readonly card: ModelCard; readonly id: string },
  questions: readonly TrainedQuestion[],
  training: Record<string, unknown>,
): Promise<number> {
  await mkdir(folder, { recursive: true });
  const bytes = labelFile(questions);
  await writeFile(join(folder, FILE), bytes);
  const files: FileList = { ...(await baseFiles(base)), [FILE]: await describeFile(join(folder, FILE)) };
  const { exitRule: _rule, cacheStrategy: _cache, qualityMeasuredBy: _by, ...rest } = card;
  const { quality: _quality, qualityMeasuredBy: _measured, ...decisions } = rest.decisions!;
  const made: CardJson = {
    ...rest,
    id,
    description: `Own labels over ${card.id}.`,
    madeBy: MAKER,
    base: named,
    files,
    decisions: { ...decisions, labels: { file: FILE } },
    training,
    quality: [],
  };
  await writeFile(join(folder, CARD), JSON.stringify(made, null, 2) + "\n");
  return bytes.length;
}

/** The base's files as its card lists them; as they are, where it lists none. */
async function baseFiles(base: string): Promise<FileList> {
  const card = await readFile(join(base, CARD), "utf8");
  return readFileList(diskFolder(base), card) ?? (await listFiles(base));
}

/** Vectors in f16, biases in f32, and what is known of the sets. */
function labelFile(questions: readonly TrainedQuestion[]): Uint8Array {
  const tensors: { name: string; dtype: string; shape: number[]; bytes: Uint8Array }[] = [];
  const records = questions.map((question, i): LabelSetRecord => {
    const { texts, vectors, biases, wording } = isPredicate(question)
      ? yesAgainstNo(question)
      : { texts: [...question.texts], ...question.weights, wording: question.wording };
    const names = labelTensors(i);
    const matrix = (name: string, rows: readonly Float32Array[]): void => {
      const flat = Float32Array.from(rows.flatMap((row) => [...row]));
      tensors.push({ name, dtype: "F16", shape: [texts.length, rows[0]!.length], bytes: f16Bytes(flat) });
    };
    matrix(names.vectors, vectors);
    if (wording) matrix(names.wording, wording);
    tensors.push({ name: names.biases, dtype: "F32", shape: [texts.length], bytes: new Uint8Array(Float32Array.from(biases).buffer) });
    const { kind, instructions = null, temperature, threshold } = question;
    const words = wording && { wording: wording[0]!.length };
    if (isPredicate(question)) return { kind, instructions, texts, temperature, ...words, fit: { slope: 1 / temperature, intercept: 0 } };
    return { kind, instructions, texts, temperature, ...words, fit: question.fit, threshold };
  });
  let at = 0;
  const entries = tensors.map(({ name, dtype, shape, bytes }) => [name, { dtype, shape, data_offsets: [at, (at += bytes.length)] }]);
  const json = JSON.stringify({ __metadata__: { [LABELS_METADATA]: JSON.stringify(records) }, ...Object.fromEntries(entries) });
  const header = new TextEncoder().encode(json);
  const padded = Math.ceil(header.length / 8) * 8;
  const file = new Uint8Array(8 + padded + at).fill(0x20, 8, 8 + padded);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.set(header, 8);
  let to = 8 + padded;
  for (const { bytes } of tensors) {
    file.set(bytes, to);
    to += bytes.length;
  }
  return file;
}

function isPredicate({ kind }: TrainedQuestion): boolean {
  return kind === "predicate";
}

/** A predicate has one score: how much rather yes than no. */
function yesAgainstNo({ weights: { vectors, biases }, wording }: TrainedQuestion): {
  texts: string[];
  vectors: Float32Array[];
  biases: number[];
  wording: Float32Array[] | undefined;
} {
  const difference = ([no, yes]: readonly Float32Array[]): Float32Array[] => [yes!.map((v, i) => v - no![i]!)];
  return { texts: [""], vectors: difference(vectors), biases: [biases[1]! - biases[0]!], wording: wording && difference(wording) };
}
