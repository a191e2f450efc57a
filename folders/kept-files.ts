/**
 * Files kept in a directory of a browser's private storage, cut into segments that carry the digest of their file in their
 * names: a segment that is there is whole, so a download goes on with the first that is not. Not here: where files come from
 * (opfs.ts), and checking them as they are read again (engine/model/file-list.ts).
 */
import { CARD, differs, expectDigest, type Check, type ListedFile } from "../engine/model/file-list.ts";
import type { ByteSource } from "../engine/model/safetensors.ts";

/** What is lost of a download that ends early. */
const SEGMENT_BYTES = 64 * 1048576;

/** A stretch of a file, stored as a file of its own. */
interface Segment {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

/** The segments of a listed file: whole pieces of it, as those have the digests. */
export function segmentsOf({ sha256, bytes, pieces }: ListedFile): Segment[] {
  const step = pieces === undefined ? Math.max(1, bytes) : Math.ceil(SEGMENT_BYTES / pieces.bytes) * pieces.bytes;
  const count = Math.max(1, Math.ceil(bytes / step));
  return Array.from({ length: count }, (_, i) => ({ name: `${sha256}-${i}`, begin: i * step, end: Math.min(bytes, (i + 1) * step) }));
}

/** Names and sizes of what a directory holds. */
export async function sizesIn(directory: FileSystemDirectoryHandle): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const handle of directory.values())
    if (handle.kind === "file") sizes.set(handle.name, (await (handle as FileSystemFileHandle).getFile()).size);
  return sizes;
}

/** Bytes of a file that are there, from its start; all of them, or the begin of the first segment that is missing. */
export function keptBytes(file: ListedFile, sizes: ReadonlyMap<string, number>): number {
  return segmentsOf(file).find(({ name, begin, end }) => sizes.get(name) !== end - begin)?.begin ?? file.bytes;
}

/** A text that is there; undefined where it is not. */
export async function readKeptText(directory: FileSystemDirectoryHandle, name: string): Promise<string | undefined> {
  const handle = await directory.getFileHandle(name).catch(() => undefined);
  return handle && (await handle.getFile()).text();
}

/** Puts a text in its place as a whole. */
export async function keepText(directory: FileSystemDirectoryHandle, name: string, text: string): Promise<void> {
  const writable = await (await directory.getFileHandle(name, { create: true })).createWritable();
  await writable.write(text);
  await writable.close();
}

/** A kept file as a source; undefined where a segment is missing. */
export async function openKept(directory: FileSystemDirectoryHandle, file: ListedFile, name: string): Promise<ByteSource | undefined> {
  const segments = await Promise.all(
    segmentsOf(file).map(async (segment) =>
      directory.getFileHandle(segment.name).then(
        (handle) => handle.getFile(),
        () => undefined,
      ),
    ),
  );
  const files = segments.filter((segment) => segment !== undefined);
  if (files.length < segments.length) return undefined;
  return { name, bytes: file.bytes, open: () => chunksOf(files) };
}

async function* chunksOf(files: readonly File[]): AsyncGenerator<Uint8Array> {
  for (const file of files) {
    const reader = file.stream().getReader();
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
    } finally {
      await reader.cancel();
    }
  }
}

/**
 * Writes a file from its byte `begin` on, a segment at a time, each only after its pieces were found to be the listed ones.
 * @param begin  where a segment begins
 * @param chunks what comes from there on
 * @param onKept told of bytes that are written
 * @throws {FathomError} where they are not the listed ones, or end early
 */
export async function keepChunks(
  directory: FileSystemDirectoryHandle,
  check: Check,
  begin: number,
  chunks: AsyncIterable<Uint8Array>,
  onKept: (bytes: number) => void,
): Promise<void> {
  const segments = segmentsOf(check.listed).filter((segment) => segment.begin >= begin);
  let writable: FileSystemWritableFileStream | undefined;
  let at = begin;
  try {
    for await (const piece of checkedPieces(check, begin, chunks)) {
      writable ??= await (await directory.getFileHandle(segments[0]!.name, { create: true })).createWritable();
      await writable.write(piece);
      at += piece.length;
      onKept(piece.length);
      if (at < segments[0]!.end) continue;
      await writable.close(); // only now it is there, under its name
      writable = undefined;
      segments.shift();
    }
  } catch (error) {
    await writable?.abort().catch(() => undefined);
    throw error;
  }
}

/** A file's pieces from its byte `begin` on, each found to be the listed one; valid until the next one is asked for. */
async function* checkedPieces(check: Check, begin: number, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { bytes, pieces, sha256 } = check.listed;
  const pieceBytes = pieces?.bytes ?? bytes;
  const expected = pieces?.sha256.slice(begin / pieceBytes) ?? [sha256];
  const piece = new Uint8Array(Math.min(bytes, pieceBytes));
  let [at, filled] = [begin, 0];
  const checked = async (): Promise<Uint8Array<ArrayBuffer>> => {
    const whole = piece.subarray(0, filled);
    expectDigest(check, at - filled, at, expected.shift()!, await check.sha256(whole));
    filled = 0;
    return whole;
  };
  for await (const chunk of chunks)
    for (let from = 0; from < chunk.length;) {
      if (at === bytes) throw differs(check, `has more than the ${bytes} bytes that ${CARD} lists`);
      const part = chunk.subarray(from, from + piece.length - filled);
      piece.set(part, filled);
      from += part.length;
      at += part.length;
      filled += part.length;
      if (filled === piece.length || at === bytes) yield await checked();
    }
  if (at < bytes) throw differs(check, `has ${at} bytes, but ${CARD} lists ${bytes}`, { isTransient: true });
  if (bytes === 0) yield await checked();
}
