/**
 * A model folder whose files come as streams of the web, whoever sends them. Weights are read through one reused buffer
 * where the host can, so that they never exist twice. Not here: where files come from (assets.ts, r2.ts, url.ts).
 */
import { FathomError } from "../engine/errors.ts";
import type { ModelFolder } from "../engine/model/folder.ts";
import type { ByteSource } from "../engine/model/safetensors.ts";

/** Bytes a read: the default reader's 4 KiB pieces take three times as long in workerd. */
const READ_BYTES = 1 << 16;

/** A file that has been found. */
export interface FoundFile {
  readonly body: ReadableStream<Uint8Array> | null;
  /** The file's size in bytes, where the sender tells it. */
  readonly bytes: number | undefined;
}

/**
 * Makes a folder of a way to find files.
 * @param name for messages
 * @param find undefined: there is no such file
 * @param notice gets lines that whoever runs this should read [default the log, each line once]
 */
export function webFolder(
  name: string,
  find: (file: string) => Promise<FoundFile | undefined>,
  notice: (line: string) => void = tellOnce,
): ModelFolder {
  const { subtle } = crypto as { subtle?: SubtleCrypto }; // absent in pages that came by http from another machine
  return {
    name,
    notice,
    ...(subtle && { sha256: (bytes) => subtle.digest("SHA-256", bytes) }),
    async readText(file) {
      const found = await find(file);
      if (found === undefined) return undefined;
      const pieces: string[] = [];
      const decoder = new TextDecoder();
      for await (const chunk of readChunks(found, `${name}/${file}`, file)) pieces.push(decoder.decode(chunk, { stream: true }));
      return pieces.join("") + decoder.decode();
    },
    async open(file): Promise<ByteSource | undefined> {
      const found = await find(file);
      if (found === undefined) return undefined;
      return { name: `${name}/${file}`, bytes: found.bytes, open: () => readChunks(found, `${name}/${file}`, file) };
    },
  };
}

/** What a response announces as its length; undefined where it says none, or where the body was decoded on its way. */
export function announcedBytes({ headers }: Response): number | undefined {
  const length = headers.get("content-length");
  return length === null || headers.has("content-encoding") ? undefined : Number(length);
}

/** A file that is there and cannot be read. @param why as it ends the sentence "... cannot be read: " */
export function unreadable(
  name: string,
  file: string,
  why: string,
  options: { readonly cause?: unknown; readonly isTransient: boolean },
): FathomError {
  return new FathomError("unavailable", `${name} cannot be read: ${why}.`, file, options);
}

/** Whether a status other than 404 may be another one soon. */
export function isTransientStatus(status: number): boolean {
  return status >= 500 || status === 429 || status === 408;
}

const logged = new Set<string>();

/** A line in the log, once in the process's life. */
function tellOnce(line: string): void {
  if (logged.has(line)) return;
  logged.add(line);
  console.warn(line);
}

/** A reader that fills a given buffer, as workerd has it. */
interface FillingReader {
  readAtLeast(bytes: number, into: Uint8Array): Promise<{ done: boolean; value?: Uint8Array }>;
  cancel(): Promise<void>;
}

function fillingReader(body: ReadableStream<Uint8Array>): FillingReader | undefined {
  try {
    const reader = body.getReader({ mode: "byob" }) as unknown as FillingReader & { releaseLock(): void };
    if (typeof reader.readAtLeast === "function") return reader;
    reader.releaseLock();
  } catch {
    // no stream of bytes: read as it comes
  }
  return undefined;
}

/** Pieces of a file; each is valid until the next one is asked for. @throws {FathomError} unavailable where the body ends early */
async function* readChunks({ body, bytes }: FoundFile, name: string, file: string): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const filling = fillingReader(body);
  const plain = filling === undefined ? body.getReader() : undefined;
  let buffer = new ArrayBuffer(filling === undefined ? 0 : READ_BYTES);
  let taken = 0;
  try {
    for (;;) {
      const next = filling === undefined ? plain!.read() : filling.readAtLeast(READ_BYTES, new Uint8Array(buffer));
      const { done, value } = await next.catch((cause: unknown) => {
        throw unreadable(name, file, `its body broke off after ${taken} bytes`, { cause, isTransient: true });
      });
      taken += value?.length ?? 0;
      if (value !== undefined && value.length > 0) yield value;
      if (done || value === undefined) break;
      if (filling !== undefined) buffer = value.buffer as ArrayBuffer;
    }
  } finally {
    await (filling ?? plain)!.cancel().catch(() => undefined); // a body that broke off cannot be cancelled
  }
  if (bytes !== undefined && taken < bytes) throw unreadable(name, file, `its body has ${taken} of ${bytes} bytes`, { isTransient: true });
}

/** The path of a folder beside another: models lie on one level here, whatever path a card was written with. */
export function siblingOf(path: string, base: string): string {
  return path.replace(/[^/]*$/, "") + base.replace(/\/+$/, "").replace(/.*\//, "");
}
