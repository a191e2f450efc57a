/**
 * Model folders on disk, for Node.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { open, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { ModelFolder } from "../engine/model/folder.ts";
import { SMALLEST_PIECE_BYTES } from "../engine/model/file-list.ts";
import type { ByteSource } from "../engine/model/safetensors.ts";
import { SHIPPED } from "./shipped.ts";

/** A checkpoint is read once, in order; reads of a piece can be hashed where they lie. */
const CHUNK_BYTES = SMALLEST_PIECE_BYTES;

/**
 * A model folder on disk.
 * @param notice gets what whoever runs this should read [default none]
 * @example
 * const model = await loadModel(diskFolder("models/nano"), createNodeWasmBackend);
 */
export function diskFolder(path: string, notice: (line: string) => void = () => undefined): ModelFolder {
  return {
    name: path,
    notice,
    sha256,
    beside(base) {
      const found = basePath(path, base);
      return found === undefined ? undefined : diskFolder(found, notice);
    },
    async readText(file) {
      try {
        return new TextDecoder().decode(await readFile(join(path, file))); // without a byte order mark, as fetch reads texts
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    open: (file) => openFile(join(path, file), file),
  };
}

/** The folder of a base: as the path leads from the folder that names it, else beside that, else among the shipped models. */
export function basePath(folder: string, base: string): string | undefined {
  const places = [
    resolve(folder, base),
    join(dirname(resolve(folder)), basename(base)),
    ...SHIPPED.map((models) => join(models, basename(base))),
  ];
  return places.find((place) => place !== resolve(folder) && existsSync(join(place, "config.json")));
}

/** A stream costs a small file more than its bytes do. */
async function* readOnce(path: string): AsyncGenerator<Uint8Array> {
  yield await readFile(path);
}

/** A file's chunks in two buffers, in turn: one is filled while the other one is used. */
async function* readAhead(path: string, size: number): AsyncGenerator<Uint8Array> {
  const file = await open(path);
  let [filling, using] = [new Uint8Array(CHUNK_BYTES), new Uint8Array(CHUNK_BYTES)];
  let reading = file.read(filling, 0, CHUNK_BYTES, 0);
  try {
    for (let at = 0; at < size;) {
      const { bytesRead } = await reading;
      if (bytesRead === 0) return; // cut while it was read: told by whoever counts
      at += bytesRead;
      [filling, using] = [using, filling];
      reading = file.read(filling, 0, CHUNK_BYTES, at);
      yield using.subarray(0, bytesRead);
    }
  } finally {
    await reading.catch(() => undefined); // of the chunk that nobody asked for
    await file.close();
  }
}

/** Whole pieces of weights are hashed on another thread; what is smaller is done before one would have woken up. */
function sha256(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer | Promise<ArrayBuffer> {
  if (bytes.length >= SMALLEST_PIECE_BYTES) return crypto.subtle.digest("SHA-256", bytes);
  return new Uint8Array(createHash("sha256").update(bytes).digest()).buffer;
}

async function openFile(path: string, name: string): Promise<ByteSource | undefined> {
  try {
    const { size } = await stat(path);
    return {
      name,
      bytes: size,
      open: () => (size <= CHUNK_BYTES ? readOnce(path) : readAhead(path, size)),
    };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === "ENOENT" || code === "ENOTDIR";
}
