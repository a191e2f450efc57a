/**
 * fathom verify FOLDER: every file of a model folder against the list in its card, and whether a model can be made of them.
 * With --write the list is written anew, which is how a change by hand is approved.
 */
import { readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { servingCard, isModelId, namedFiles, readCard } from "../engine/model/card.ts";
import { FathomError } from "../engine/errors.ts";
import { baseOf, withBase } from "../engine/model/base-folder.ts";
import { decisionForm } from "../engine/model/decisions.ts";
import { readEmbeddings } from "../engine/model/embeddings.ts";
import { readLabels } from "../engine/model/labels.ts";
import { readMatch } from "../engine/model/match.ts";
import { CARD, readFileList, type FileList, type ListedFile } from "../engine/model/file-list.ts";
import { readConfig, readWeights, type ModelFolder } from "../engine/model/folder.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { readTokenizer } from "../engine/model/tokenizer.ts";
import { defineCommand } from "./command.ts";
import { describeFile, listFiles } from "./digests.ts";
import { basePath, diskFolder } from "./files.ts";
import { hasBase, holdsGraphs, isModelFile } from "./model-files.ts";
import { modelPath } from "./models.ts";
import { withReports } from "./progress.ts";
import { watchedFolder } from "./watched-folder.ts";

/** A file, or a part of the model that is made of several. */
export interface Finding {
  readonly name: string;
  readonly bytes?: number;
  readonly sha256?: string;
  /** What is wrong; absent where all is well. */
  readonly problem?: string;
}

export const verifyCommand = defineCommand({
  meta: { name: "verify", description: "Check every file of a model folder against its card; exit status 1 where one is wrong" },
  examples: ["fathom verify nano", "fathom verify my-model --write"],
  args: {
    folder: { type: "positional", required: true, description: "a model folder, or the name of a shipped model" },
    write: { type: "boolean", default: false, description: "list the files as they are in the card, if a model can be made of them" },
    json: { type: "boolean", default: false, description: "print one JSON object" },
  },
  async run({ args }) {
    const folder = await existingFolder(args.folder);
    if (args.write) await writeList(folder);
    const findings = await verify(folder);
    const ok = findings.every(({ problem }) => problem === undefined);
    if (args.json) console.log(JSON.stringify({ folder, ok, findings }));
    else for (const finding of findings) console.log(line(finding));
    if (!ok) process.exitCode = 1;
  },
});

/** One finding a file, the card first, then what a model is made of. Reads only. */
export async function verify(path: string): Promise<Finding[]> {
  const files = await listedFiles(path);
  const findings: Finding[] = [{ name: CARD, ...(typeof files === "string" && { problem: files }) }];
  if (typeof files !== "string") {
    findings.push(...(await compareAll(files, await placesOf(path))));
    for (const name of (await readdir(path)).filter((n) => isModelFile(n) && n !== CARD && !Object.hasOwn(files, n)))
      findings.push({ name, problem: `is not in ${CARD}'s list, so it is never read; remove it, or add it with fathom verify --write` });
  }
  return [...findings, ...(await tryParts(path))];
}

/** The card's list, or why there is none. */
async function listedFiles(path: string): Promise<FileList | string> {
  const card = await readFile(join(path, CARD), "utf8").catch(() => undefined);
  if (card === undefined) return "is missing, so nothing is known of the files; write it with fathom verify --write";
  try {
    return readFileList(diskFolder(path), card) ?? "lists no files; add them with fathom verify --write";
  } catch (error) {
    return (error as Error).message;
  }
}

/** Where each file lies: what a folder shares with its base is the base's. */
async function placesOf(path: string): Promise<(file: string) => string> {
  const { base, own } = baseOf(await readFile(join(path, CARD), "utf8")) ?? {};
  const from = base === undefined ? undefined : basePath(path, base);
  return (file) => join(from === undefined || own!.includes(file) ? path : from, file);
}

function compareAll(files: FileList, placeOf: (file: string) => string): Promise<Finding[]> {
  const megabytes = (bytes: number): number => Math.round(bytes / 1e6);
  const all = Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);
  let read = 0;
  return withReports("MB checked", async (report) => {
    const onRead = (bytes: number): void => report(megabytes((read += bytes)), megabytes(all));
    const findings: Finding[] = [];
    for (const [name, listed] of Object.entries(files)) findings.push(await compare(placeOf(name), name, listed, onRead));
    return findings;
  });
}

async function compare(place: string, name: string, listed: ListedFile, onRead: (bytes: number) => void): Promise<Finding> {
  const found = await describeFile(place, listed.pieces?.bytes, onRead).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error) return { name, problem: found.code === "ENOENT" ? "is missing" : `cannot be read: ${found.message}` };
  const { bytes, sha256 } = found;
  const damaged = found.pieces?.sha256.findIndex((digest, i) => digest !== listed.pieces?.sha256[i]) ?? -1;
  const where = damaged < 0 ? "" : ` from byte ${damaged * found.pieces!.bytes} on`;
  if (bytes !== listed.bytes)
    return { name, bytes, sha256, problem: `has ${bytes} bytes, the card lists ${listed.bytes}${where && `; it differs${where}`}` };
  if (sha256 !== listed.sha256 || damaged >= 0)
    return { name, bytes, sha256, problem: `has SHA-256 ${sha256}, the card lists ${listed.sha256}${where && `; it differs${where}`}` };
  return { name, bytes, sha256 };
}

/** Makes of the files what a loader makes of them, whatever their digests are, but no backend. */
async function tryParts(path: string): Promise<Finding[]> {
  const folder = await withBase(diskFolder(path)).catch(problemOf);
  if (typeof folder === "string") return [{ name: "base", problem: folder }];
  const config = await readConfig(folder).catch(problemOf);
  if (typeof config === "string") return [{ name: "config", problem: config }];
  const hasSmallParts = await readCard(folder, config).then(
    (card) => namedFiles(card).length > 0,
    () => false,
  );
  const parts: [name: string, read: () => Promise<unknown>][] = [
    ["card", () => readCard(folder, config)],
    ["tokenizer and template", () => readTokenizer(folder, config)],
    ...(hasSmallParts ? [["match, embeddings and labels", () => readSmallParts(folder, config)] as [string, () => Promise<void>]] : []),
    ["weights", () => (holdsGraphs(path) ? openGraphs(folder) : readAll(folder, config))],
  ];
  const findings: Finding[] = [{ name: "config" }];
  for (const [name, read] of parts) {
    const problem = await read().then(() => undefined, problemOf);
    findings.push({ name, ...(problem !== undefined && { problem }) });
  }
  return findings;
}

/** What of a model is small and lies beside its weights. */
async function readSmallParts(folder: ModelFolder, config: ModelConfig): Promise<void> {
  const [card, text] = [await readCard(folder, config), await readTokenizer(folder, config)];
  const match = await readMatch(folder, card, config);
  decisionForm(card, config, text, match, await readLabels(folder, card, match));
  await readEmbeddings(folder, card, config, text);
}

const NOWHERE = { matrix: () => ({ write() {}, done() {} }), vector: () => ({ write() {}, done() {} }) };

function readAll(folder: ModelFolder, config: ModelConfig): Promise<unknown> {
  return withReports("MB of the model read", (report) => readWeights(watchedFolder(folder, report), config, NOWHERE));
}

async function openGraphs(folder: ModelFolder): Promise<void> {
  const { openNodeOnnxFolder } = await import("../onnx/node.ts");
  await (await openNodeOnnxFolder(folder)).close();
}

function problemOf(error: unknown): string {
  if (error instanceof FathomError) return error.message;
  throw error;
}

/** @throws {FathomError} where no model can be made of the files: their list would vouch for nothing */
async function writeList(path: string): Promise<void> {
  if (hasBase(path))
    throw new FathomError("invalid_request", `${path} shares the files of its base; train it again with fathom train instead.`, "--write");
  const wrong = (await tryParts(path)).find(({ problem }) => problem !== undefined);
  if (wrong !== undefined)
    throw new FathomError("invalid_checkpoint", `${path}: ${wrong.name}: ${wrong.problem} Nothing was written.`, wrong.name);
  const file = join(path, CARD);
  const text = await readFile(file, "utf8").catch(() => undefined);
  const card: object =
    text === undefined
      ? servingCard(isModelId(basename(path)) ? basename(path) : "model", await readConfig(diskFolder(path)))
      : (JSON.parse(text) as object);
  await writeFile(`${file}.partial`, JSON.stringify({ ...card, files: await listFiles(path) }, null, 2) + "\n");
  await rename(`${file}.partial`, file);
}

/** A folder with files missing is what this is for, so it need not look like a model. */
async function existingFolder(name: string): Promise<string> {
  const isFolder = await stat(resolve(name)).then(
    (s) => s.isDirectory(),
    () => false,
  );
  return isFolder ? resolve(name) : modelPath(name);
}

function line({ name, bytes, sha256, problem }: Finding): string {
  if (problem !== undefined) return `WRONG ${name}: ${problem}`;
  return `ok    ${name}${bytes === undefined ? "" : `: ${bytes} bytes, SHA-256 ${sha256}`}`;
}
