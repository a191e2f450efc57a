/**
 * A model's card.json as commands change it: whole or not at all, and said where.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import type { CardJson } from "../engine/model/card.ts";
import { CARD } from "../engine/model/file-list.ts";

/**
 * Changes the card of a model's folder.
 * @param change makes the new card of the one that is there
 * @returns the file's absolute path
 */
export async function changeCard(folder: string, change: (card: CardJson) => object): Promise<string> {
  const path = resolve(join(folder, CARD));
  const card = JSON.parse(await readFile(path, "utf8")) as CardJson;
  await writeFile(`${path}.partial`, JSON.stringify(change(card), null, 2) + "\n");
  await rename(`${path}.partial`, path);
  return path;
}

/** Ends a sentence on what was measured: where it was written, and how long it lasts there. */
export function whereWritten(path: string): string {
  const isInstalled = path.split(sep).includes("node_modules");
  return `written into ${path}${isInstalled ? "; the next install replaces this file: copy the model's folder to keep it" : ""}`;
}
