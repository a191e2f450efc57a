/**
 * The list of a model folder's files for its card: size and SHA-256 of each, large ones in pieces, too (see
 * engine/model/file-list.ts, which checks them).
 */
import { createHash } from "node:crypto";
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { CARD, pieceBytesFor, type FileList, type ListedFile } from "../engine/model/file-list.ts";
import { isModelFile } from "./model-files.ts";

/** Lists every file of a folder that belongs to its model, but the card itself; by name. */
export async function listFiles(folder: string): Promise<FileList> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => !entry.isDirectory() && isModelFile(entry.name) && entry.name !== CARD).map(({ name }) => name);
  const files: FileList = {};
  for (const name of names.toSorted()) files[name] = await describeFile(join(folder, name));
  return files;
}

/**
 * @param pieceBytes the length of its pieces, if it is longer [default that of `pieceBytesFor`]
 * @param onRead     told after each read
 */
export async function describeFile(
  path: string,
  pieceBytes?: number,
  onRead: (bytes: number) => void = () => undefined,
): Promise<ListedFile> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const length = pieceBytes ?? pieceBytesFor(size);
    const whole = createHash("sha256");
    const buffer = new Uint8Array(Math.min(size, length));
    const pieces: Promise<string>[] = [];
    for (let at = 0; at < size;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) break;
      at += bytesRead;
      const piece = buffer.subarray(0, bytesRead);
      if (size > length) pieces.push(hexDigest(piece)); // takes a copy, and runs beside
      whole.update(piece);
      onRead(bytesRead);
    }
    const sha256 = whole.digest("hex");
    return { sha256, bytes: size, ...(size > length && { pieces: { bytes: length, sha256: await Promise.all(pieces) } }) };
  } finally {
    await file.close();
  }
}

async function hexDigest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
}
