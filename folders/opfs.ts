/**
 * A model folder behind a URL that a browser downloads once: its files are kept in the origin-private file system (OPFS), and
 * answer from there, after a reload and without the network. Only folders with a card that lists their files can be kept:
 * by its digests the download is checked, and a changed model found out. Not here: how files lie there (kept-files.ts).
 */
import { baseOf } from "../engine/model/base-folder.ts";
import { CARD, readFileList, type FileList } from "../engine/model/file-list.ts";
import type { ModelFolder } from "../engine/model/folder.ts";
import type { ByteSource } from "../engine/model/safetensors.ts";
import { FathomError } from "../engine/errors.ts";
import { keepChunks, keepText, keptBytes, openKept, readKeptText, segmentsOf, sizesIn } from "./kept-files.ts";
import { findFile, type FoundPart, type UrlFolderOptions } from "./url.ts";
import { siblingOf, unreadable, webFolder } from "./web-folder.ts";

/** How far a download is. */
export interface DownloadProgress {
  /** Bytes that are kept, those of earlier downloads among them. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** What `opfsFolder` may be told. */
export interface OpfsFolderOptions extends UrlFolderOptions {
  /** Gets how far the download is; nothing where all files are there. [default none] */
  readonly progress?: ((progress: DownloadProgress) => void) | undefined;
  /** [default navigator.storage] */
  readonly storage?: StorageManager | undefined;
}

/** The directory of OPFS that holds a directory for each model. */
const MODELS = "fathom-models";

/** Whether this page or worker can keep models: it has OPFS, which only secure contexts (https, localhost) have. */
export function canKeepModels(storage: StorageManager | undefined = globalThis.navigator?.storage): boolean {
  const handles = globalThis.FileSystemFileHandle as { readonly prototype: object } | undefined;
  return typeof storage?.getDirectory === "function" && (handles === undefined || "createWritable" in handles.prototype);
}

/**
 * The folder at a URL, kept in the browser. With the network, the server's card is compared with the kept one, and what has
 * changed is downloaded; a download that broke off goes on. Without it, the kept files answer.
 *
 * @param {string | URL} url - Of the folder; a slash at its end may be left out. In pages it may be relative.
 * @param {(progress: DownloadProgress) => void} [options.progress] - Told how far the download is.
 * @param {AbortSignal} [options.signal] - Ends the download; what is kept of it stays.
 * @param {Record<string, string>} [options.headers={}] - Headers of every request.
 * @param {(line: string) => void} [options.notice=console.warn] - Told what is doubtful in the files.
 * @param {StorageManager} [options.storage=navigator.storage] - Whose OPFS it is.
 * @throws {FathomError} unavailable, where there is no OPFS, no room, or neither network nor kept files; invalid_card, where no
 *   card lists the files; whatever is wrong with one that was downloaded
 * @example
 * ```ts
 * const folder = await opfsFolder("/models/nano/", { progress: ({ doneBytes, totalBytes }) => console.log(doneBytes / totalBytes) });
 * const model = await loadModel(folder, browserWasm());
 * ```
 */
export async function opfsFolder(url: string | URL, options: OpfsFolderOptions = {}): Promise<ModelFolder> {
  const { storage = navigator.storage } = options;
  if (!canKeepModels(storage))
    throw new FathomError(
      "unavailable",
      "This page cannot keep models: it has no origin-private file system, which needs https or localhost; read the model by urlFolder.",
    );
  const from = webFolder(absolute(url), (file) => findFile(`${absolute(url)}/`, file, { ...options, cache: "no-cache" }), options.notice);
  const directory = await directoryOf(storage, from.name);
  const kept = await readKeptText(directory, CARD);
  const { card, files, base } = await currentCard(from, kept);
  if (card !== kept || (await missingBytes(directory, files)) > 0) {
    await requireRoom(storage, from.name, await missingBytes(directory, files));
    await download(from, directory, files, options);
    await keepText(directory, CARD, card); // last: it says that all others are there
    await removeOthers(directory, files);
    void storage.persist?.().catch(() => false); // or the browser may drop them when its disk is full
  }
  const beside = base === undefined ? undefined : await opfsFolder(siblingOf(from.name, base), options);
  return keptFolder(from, directory, card, files, beside);
}

/**
 * Removes a model that `opfsFolder` has kept; nothing where it has not.
 *
 * @param {string | URL} url - As it was given to `opfsFolder`.
 * @param {StorageManager} [storage=navigator.storage] - Whose OPFS it is.
 * @example
 * ```ts
 * await forgetOpfsFolder("/models/nano/");
 * ```
 */
export async function forgetOpfsFolder(url: string | URL, storage: StorageManager = navigator.storage): Promise<void> {
  const name = await directoryName(absolute(url));
  await (await modelsIn(storage)).removeEntry(name, { recursive: true }).catch((error: DOMException) => {
    if (error.name !== "NotFoundError") throw error;
  });
}

function absolute(url: string | URL): string {
  return new URL(url, globalThis.location?.href).href.replace(/\/$/, "");
}

async function modelsIn(storage: StorageManager): Promise<FileSystemDirectoryHandle> {
  return (await storage.getDirectory()).getDirectoryHandle(MODELS, { create: true });
}

async function directoryOf(storage: StorageManager, url: string): Promise<FileSystemDirectoryHandle> {
  return (await modelsIn(storage)).getDirectoryHandle(await directoryName(url), { create: true });
}

/** URLs have characters that names of directories may not have, and may be longer than these. */
async function directoryName(url: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(url)));
  return Array.from(hash.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

interface ListedCard {
  readonly card: string;
  /** The folder's own files; what it shares with a base is the base's. */
  readonly files: FileList;
  readonly base: string | undefined;
}

/** The server's card; where it cannot be had and a kept one is there, that. */
async function currentCard(from: ModelFolder, kept: string | undefined): Promise<ListedCard> {
  try {
    return listed(from, await from.readText(CARD));
  } catch (error) {
    if (kept === undefined || !(error instanceof FathomError)) throw error;
    from.notice?.(`${from.name}: the files that are kept here answer: ${error.message}`);
    return listed(from, kept);
  }
}

/** @throws {FathomError} invalid_card */
function listed(from: ModelFolder, card: string | undefined): ListedCard {
  const files = card === undefined ? undefined : readFileList(from, card);
  if (card === undefined || files === undefined) {
    const why = card === undefined ? `it has no ${CARD}` : `its ${CARD} has no list of files`;
    throw new FathomError("invalid_card", `${from.name} cannot be kept: ${why}. Write one with fathom verify --write.`, CARD);
  }
  const { base, own } = baseOf(card) ?? {};
  return { card, base, files: Object.fromEntries(Object.entries(files).filter(([file]) => own?.includes(file) !== false)) };
}

async function missingBytes(directory: FileSystemDirectoryHandle, files: FileList): Promise<number> {
  const sizes = await sizesIn(directory);
  return Object.values(files).reduce((sum, file) => sum + file.bytes - keptBytes(file, sizes), 0);
}

/** @throws {FathomError} unavailable */
async function requireRoom(storage: StorageManager, name: string, bytes: number): Promise<void> {
  const { quota, usage = 0 } = (await storage.estimate?.()) ?? {};
  if (quota === undefined || quota - usage >= bytes) return;
  const [needs, has] = [bytes, Math.max(0, quota - usage)].map((n) => `${(n / 1e6).toFixed(0)} MB`);
  throw new FathomError(
    "unavailable",
    `${name} cannot be kept: ${needs} are still to come, and the browser has ${has} left for this page; forget other models, or free disk.`,
  );
}

async function download(
  from: ModelFolder,
  directory: FileSystemDirectoryHandle,
  files: FileList,
  { progress, ...options }: OpfsFolderOptions,
): Promise<void> {
  const sizes = await sizesIn(directory);
  const totalBytes = Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);
  let doneBytes = totalBytes - (await missingBytes(directory, files));
  const onKept = (bytes: number): void => progress?.({ doneBytes: (doneBytes += bytes), totalBytes });
  for (const [file, listed] of Object.entries(files)) {
    const begin = keptBytes(listed, sizes);
    if (begin === listed.bytes && sizes.has(segmentsOf(listed)[0]!.name)) continue;
    const path = `${from.name}/${file}`;
    const found = await findFile(`${from.name}/`, file, { ...options, cache: "no-store" }, begin);
    if (found === undefined) throw unreadable(path, file, "it is not there", { isTransient: true });
    const check = { path, file, listed, sha256: (bytes: Uint8Array<ArrayBuffer>) => crypto.subtle.digest("SHA-256", bytes) };
    await keepChunks(directory, check, begin, chunksFrom(found, begin, path, file), onKept).catch((error: Error) => {
      if (error.name !== "QuotaExceededError") throw error;
      throw unreadable(path, file, "the browser has no more room for this page", { cause: error, isTransient: false });
    });
  }
}

/** What of a body comes from a byte on, though it may begin before. */
async function* chunksFrom({ body, begin }: FoundPart, from: number, path: string, file: string): AsyncGenerator<Uint8Array> {
  const reader = body!.getReader();
  let at = begin;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw unreadable(path, file, `its body broke off after ${at} bytes`, { cause, isTransient: true });
      });
      if (done) return;
      const wanted = value.subarray(Math.max(0, from - at));
      at += value.length;
      if (wanted.length > 0) yield wanted;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // a body that broke off cannot be cancelled
  }
}

/** Removes what an earlier card listed and this one does not. */
async function removeOthers(directory: FileSystemDirectoryHandle, files: FileList): Promise<void> {
  const wanted = new Set([CARD, ...Object.values(files).flatMap((file) => segmentsOf(file).map(({ name }) => name))]);
  for (const name of (await sizesIn(directory)).keys()) if (!wanted.has(name)) await directory.removeEntry(name);
}

function keptFolder(
  from: ModelFolder,
  directory: FileSystemDirectoryHandle,
  card: string,
  files: FileList,
  base: ModelFolder | undefined,
): ModelFolder {
  const open = async (file: string): Promise<ByteSource | undefined> =>
    Object.hasOwn(files, file) ? openKept(directory, files[file]!, `${from.name}/${file}`) : undefined;
  return {
    ...from,
    open,
    beside: () => base,
    async readText(file) {
      if (file === CARD) return card;
      const source = await open(file);
      if (source === undefined) return undefined;
      const decoder = new TextDecoder();
      let text = "";
      for await (const chunk of source.open()) text += decoder.decode(chunk, { stream: true });
      return text + decoder.decode();
    },
  };
}
