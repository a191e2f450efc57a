/**
 * The files of a model folder on disk: which names belong to a model, and which command wrote a folder. Where a folder is
 * replaced, the model's files go together; all others are the user's.
 */
import { existsSync, readFileSync } from "node:fs";
import { copyFile, readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { baseOf } from "../engine/model/base-folder.ts";
import { CARD } from "../engine/model/file-list.ts";
import { basePath } from "./files.ts";

/** Files beside the weights that a loader reads, or that publishers ship with a tokenizer; copied as they are. */
const COMPANIONS: readonly string[] = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
];

/** What else a model brings: other forms of tokenizers and templates, weights of any form, the card. */
const MODEL_FILE =
  /^(?:card\.json|onnx\.json|added_tokens\.json|vocab\.json|merges\.txt|chat_template\.json|.+\.model|.+\.safetensors(?:\.index\.json)?|.+\.onnx)$/;

const MAKERS = ["fathom convert", "fathom export", "fathom train"] as const;
export type Maker = (typeof MAKERS)[number];

/** Whether a file of this name is part of a model, and would be wrong beside the weights of another. */
export function isModelFile(name: string): boolean {
  return COMPANIONS.includes(name) || MODEL_FILE.test(name);
}

/** Whether a folder holds the graphs of `fathom export`, not a checkpoint. */
export function holdsGraphs(folder: string): boolean {
  return existsSync(join(folder, "onnx.json"));
}

/** Whether a folder is little by itself: its card names the base whose files it shares. */
export function hasBase(folder: string): boolean {
  const card = join(folder, CARD);
  return existsSync(card) && baseOf(readFileSync(card, "utf8")) !== undefined;
}

/** The folders that a model is loaded from, by the names they have beside each other: its own, then that of its base. */
export function foldersOf(folder: string): { readonly name: string; readonly path: string }[] {
  const named = hasBase(folder) ? baseOf(readFileSync(join(folder, CARD), "utf8"))!.base : undefined;
  const path = named && basePath(folder, named);
  return [{ name: basename(folder), path: folder }, ...(path === undefined ? [] : [{ name: basename(named!), path }])];
}

/** The command that wrote a folder, by its card; undefined where no command of ours did. */
export async function makerOf(folder: string): Promise<Maker | undefined> {
  const text = await readFile(join(folder, "card.json"), "utf8").catch(() => "null");
  const card = parse(text) as { madeBy?: unknown; quantisation?: unknown } | null;
  const maker = MAKERS.find((name) => name === card?.madeBy);
  if (maker !== undefined) return maker;
  if (holdsGraphs(folder)) return "fathom export";
  return card?.quantisation !== undefined ? "fathom convert" : undefined; // cards from before `madeBy`
}

/** Copies the companions that a folder has. @param named further files, which its card names */
export async function copyCompanions(from: string, to: string, named: readonly string[]): Promise<void> {
  const there = new Set(await readdir(from));
  for (const name of [...COMPANIONS, ...named]) if (there.has(name)) await copyFile(join(from, name), join(to, name));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
