/**
 * Model folders on disk, for Node.
 */
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ModelFolder } from "../engine/model/folder.ts";
import type { ByteSource } from "../engine/model/safetensors.ts";

/** 1 MiB reads: a checkpoint is read once, in order. */
const CHUNK_BYTES = 1 << 20;

/** @param notice gets what whoever runs this should read [default none] */
export function diskFolder(path: string, notice: (line: string) => void = () => undefined): ModelFolder {
  return {
    name: path,
    notice,
    async readText(file) {
      try {
        return await readFile(join(path, file), "utf8");
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    open: (file) => openFile(join(path, file), file),
  };
}

async function openFile(path: string, name: string): Promise<ByteSource | undefined> {
  try {
    const { size } = await stat(path);
    return { name, bytes: size, open: () => createReadStream(path, { highWaterMark: CHUNK_BYTES }) };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === "ENOENT" || code === "ENOTDIR";
}
