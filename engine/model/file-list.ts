/**
 * card.json's list of the model's files, and a folder that holds to it: whatever is read through it has the listed
 * SHA-256 and size, and what is listed is there. Hashing is the host's (WebCrypto, say): it runs beside the reading.
 * Large files are hashed in pieces, so that a stream can be checked as it comes, and a fault is found near its place.
 */
import * as v from "valibot";
import { FathomError, type FathomErrorCode, type FathomErrorOptions } from "../errors.ts";
import { QUANT_METADATA } from "./checkpoint.ts";
import { parseJson, WEIGHTS, type ModelFolder } from "./folder.ts";
import { readSafetensorsHeader, type ByteSource } from "./safetensors.ts";

export const CARD = "card.json";

const hex = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** A file: its SHA-256, and its size in bytes. */
const listedFile = v.object({
  sha256: hex,
  bytes: size,
  /** Digests of stretches of `bytes` each, the last one shorter: files above `SMALLEST_PIECE_BYTES` have them. */
  pieces: v.optional(v.object({ bytes: v.pipe(size, v.minValue(1)), sha256: v.array(hex) })),
});
export const fileListSchema = v.record(v.string(), listedFile);

export type ListedFile = v.InferOutput<typeof listedFile>;
export type FileList = v.InferOutput<typeof fileListSchema>;

/** Smallest piece of a file that a digest covers, held in memory once while the file is read. */
export const SMALLEST_PIECE_BYTES = 1 << 20;
/** Keeps a card small: 256 digests are 17 kB. */
const MOST_PIECES = 256;

/** The length of a file's pieces: a power of two; at least the file's where it is not cut. */
export function pieceBytesFor(fileBytes: number): number {
  let bytes = SMALLEST_PIECE_BYTES;
  while (bytes * MOST_PIECES < fileBytes) bytes *= 2;
  return bytes;
}

/**
 * Checks a folder as it is read, against the list in its card. Without a list it is handed through, and the host is told.
 * Files that the list does not name count as absent; the host is told of those that would have been read.
 * @throws {FathomError} invalid_card; reading from it throws invalid_checkpoint, invalid_tokenizer or invalid_config where a
 * file is missing or not the listed one
 */
export async function checkedFolder(folder: ModelFolder): Promise<ModelFolder> {
  const text = await folder.readText(CARD);
  if (text === undefined) await expectNoCard(folder);
  const files = text === undefined ? undefined : readFileList(folder, text);
  const readText = (file: string): Promise<string | undefined> => (file === CARD ? Promise.resolve(text) : folder.readText(file));
  if (files === undefined || folder.sha256 === undefined) {
    const reason = files === undefined ? `no ${CARD} lists their digests; fathom verify --write adds them` : "this host has no SHA-256";
    folder.notice?.(`${folder.name}: the files are not checked for damage: ${reason}.`);
    return { ...folder, readText };
  }
  const sha256 = folder.sha256.bind(folder);
  const open = async (file: string): Promise<ByteSource | undefined> => {
    const listed = Object.hasOwn(files, file) ? files[file]! : undefined;
    if (listed === undefined) return undefined;
    const source = await folder.open(file);
    if (source === undefined)
      throw new FathomError(codeOf(file), `${pathOf(folder, file)} is missing, though ${CARD} lists it; copy the folder again.`, file, {
        isTransient: true, // storage that distributes files may not have all of them yet
      });
    const check: Check = { path: pathOf(folder, file), file, listed, sha256 };
    return { name: source.name, bytes: source.bytes, open: () => checkedChunks(source, check) };
  };
  return {
    ...folder,
    open,
    async readText(file) {
      if (file === CARD) return text;
      const source = await open(file);
      if (source !== undefined) return readAllText(source);
      await tellUnlisted(folder, file);
      return undefined;
    },
  };
}

function pathOf(folder: ModelFolder, file: string): string {
  return folder.pathOf?.(file) ?? `${folder.name}/${file}`;
}

/** A file that someone added by hand, stop tokens say, must not be passed over in silence. */
async function tellUnlisted(folder: ModelFolder, file: string): Promise<void> {
  if (folder.notice === undefined) return;
  const text = await folder.readText(file).catch(() => undefined); // it has no effect, whatever keeps it from being read
  if (text === undefined) return;
  folder.notice(`${folder.name}/${file} has no effect, as ${CARD} does not list it; fathom verify --write adds it, or remove the file.`);
}

/** A quantised checkpoint comes from `fathom convert`, which always writes a card. */
async function expectNoCard(folder: ModelFolder): Promise<void> {
  const source = await folder.open(WEIGHTS);
  const metadata = source === undefined ? {} : (await readSafetensorsHeader(source)).metadata;
  if (Object.hasOwn(metadata, QUANT_METADATA))
    throw new FathomError(
      "invalid_card",
      `${folder.name} has no ${CARD}, but its weights come from fathom convert, which writes one; copy the folder again.`,
      CARD,
      { isTransient: true },
    );
}

/** The list in a card's text; undefined where it has none. @throws {FathomError} invalid_card */
export function readFileList(folder: ModelFolder, card: string): FileList | undefined {
  const json = parseJson(folder, CARD, card, "invalid_card");
  const result = v.safeParse(v.object({ files: v.optional(fileListSchema) }), json);
  const invalid = (field: string, what: string): FathomError =>
    new FathomError("invalid_card", `${folder.name}/${CARD}: ${field}: ${what}. Write the list anew with fathom verify --write.`, field);
  if (!result.success) throw invalid(v.getDotPath(result.issues[0]) ?? "files", result.issues[0].message);
  const { files } = result.output;
  for (const [name, { bytes, pieces }] of Object.entries(files ?? {})) {
    const count = pieces === undefined ? 1 : Math.ceil(bytes / pieces.bytes);
    if (pieces !== undefined && pieces.sha256.length !== count)
      throw invalid(`files.${name}.pieces`, `${pieces.sha256.length} digests of ${pieces.bytes} bytes do not make ${bytes} bytes`);
    if (pieces === undefined && bytes > SMALLEST_PIECE_BYTES)
      throw invalid(`files.${name}.pieces`, `missing, for a file of ${bytes} bytes`);
  }
  if (files !== undefined && !Object.hasOwn(files, "config.json")) throw invalid("files", "config.json is not among them");
  return files;
}

/** A file that is held against what the card lists of it. */
export interface Check {
  /** The file's path, for messages. */
  readonly path: string;
  readonly file: string;
  readonly listed: ListedFile;
  readonly sha256: (bytes: Uint8Array<ArrayBuffer>) => ArrayBuffer | Promise<ArrayBuffer>;
}

/** The source's chunks; the end comes only after every piece was found to be the listed one. */
async function* checkedChunks(source: ByteSource, check: Check): AsyncGenerator<Uint8Array> {
  const { bytes, sha256, pieces } = check.listed;
  const pieceBytes = Math.min(bytes, pieces?.bytes ?? bytes);
  let piece: Uint8Array<ArrayBuffer> | undefined;
  const expected = pieces?.sha256 ?? [sha256];
  let [at, filled, done] = [0, 0, 0];
  let previous: Promise<void> = Promise.resolve();
  const checkPiece = async (whole: Uint8Array): Promise<void> => {
    const begin = at - whole.length;
    const digest = check.sha256(whole as Uint8Array<ArrayBuffer>); // WebCrypto takes a copy first
    filled = 0;
    await previous; // two at a time: one is hashed while the next one is filled
    const [end, listed] = [at, expected[done++]!];
    if (digest instanceof ArrayBuffer) return expectDigest(check, begin, end, listed, digest);
    previous = digest.then((hash) => expectDigest(check, begin, end, listed, hash));
    previous.catch(() => undefined); // whoever awaits it next sees the failure
  };
  for await (const chunk of source.open()) {
    yield chunk; // hashed when the next one is asked for: whoever wants only a header does not pay
    if (at + chunk.length > bytes) throw differs(check, `has more than the ${bytes} bytes that ${CARD} lists`);
    for (let from = 0; from < chunk.length;) {
      const part = chunk.subarray(from, from + pieceBytes - filled);
      from += part.length;
      at += part.length;
      if (part.length === pieceBytes) await checkPiece(part);
      else {
        (piece ??= new Uint8Array(pieceBytes)).set(part, filled);
        filled += part.length;
        if (filled === pieceBytes) await checkPiece(piece);
      }
    }
  }
  // a stream over a network may have ended early; a file that says itself that it has no more is damaged
  if (at < bytes) throw differs(check, `has ${at} bytes, but ${CARD} lists ${bytes}`, { isTransient: at !== source.bytes });
  if (filled > 0 || bytes === 0) await checkPiece(piece?.subarray(0, filled) ?? new Uint8Array(0));
  await previous;
}

/** @param begin of the stretch that `hash` is of, and its end @throws {FathomError} where it is not the listed one */
export function expectDigest(check: Check, begin: number, end: number, expected: string, hash: ArrayBuffer): void {
  const got = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (got === expected) return;
  const where = check.listed.pieces === undefined ? "" : ` in bytes ${begin} to ${end}`;
  throw differs(check, `has SHA-256 ${got}${where}, but ${CARD} lists ${expected}`);
}

/** The error of a file that is not the listed one. @param what as it goes on after the file's path */
export function differs({ path, file }: Check, what: string, options?: FathomErrorOptions): FathomError {
  const remedy = "it is damaged or was changed: copy it again, or, if the change is meant, run fathom verify --write";
  return new FathomError(codeOf(file), `${path} ${what}; ${remedy}.`, file, options);
}

function codeOf(file: string): FathomErrorCode {
  if (/\.(?:safetensors|onnx)(?:\.index\.json)?$/.test(file) || file === "onnx.json") return "invalid_checkpoint";
  return /^(?:tokenizer|special_tokens|chat_template|added_tokens|vocab|merges)/.test(file) ? "invalid_tokenizer" : "invalid_config";
}

async function readAllText(source: ByteSource): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of source.open()) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}
