/**
 * One damaged folder, over one source: whether it is refused by name.
 */
import { readFileSync } from "node:fs";
import { FathomError } from "../../engine/errors.ts";
import type { ModelFolder } from "../../engine/model/folder.ts";
import { loadModel } from "../../engine/port/model.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { DAMAGES, dice, type Files } from "./damages.ts";
import type { Sources } from "./sources.ts";

const NAMES = ["card.json", "chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"];

/** The shipped model's files. */
export function shippedFiles(): Files {
  return Object.fromEntries(
    NAMES.map((name) => [name, new Uint8Array(readFileSync(new URL(`../../models/nano/${name}`, import.meta.url)))]),
  );
}

export interface Case {
  readonly source: string;
  readonly what: string;
  /** How it was refused; undefined where it was loaded. */
  readonly refusal: FathomError | undefined;
}

/** The damage and the source of a run follow from its number; every damage meets every source. */
export async function checkRun(sources: Sources, files: Files, seed: number, run: number): Promise<Case> {
  const damages = Object.values(DAMAGES);
  const damage = damages[run % damages.length]!;
  const source = sources.names[Math.floor(run / damages.length) % sources.names.length]!;
  const { files: damaged, what } = damage(files, dice(seed, run));
  return { source, what, refusal: await refusalOf(sources.folder(source, damaged)) };
}

/** @throws what is no FathomError: a crash */
export async function refusalOf(folder: ModelFolder): Promise<FathomError | undefined> {
  try {
    await loadModel(folder, (config, load) => createNodeWasmBackend(config, load, { warm: false }));
    return undefined;
  } catch (error) {
    if (error instanceof FathomError && error.code.startsWith("invalid_")) return error;
    throw error;
  }
}
