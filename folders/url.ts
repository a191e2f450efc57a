/**
 * A model folder behind a URL, read by fetch: in pages, in Deno, or from another server. What breaks off midway goes on by a
 * range request where the server has them, and by reading it again where it has none.
 */
import type { ModelFolder } from "../engine/model/folder.ts";
import { announcedBytes, isTransientStatus, siblingOf, unreadable, webFolder, type FoundFile } from "./web-folder.ts";

/** What `urlFolder` may be told. */
export interface UrlFolderOptions {
  /** Ends what is being read. */
  readonly signal?: AbortSignal | undefined;
  /** Goes with every request, e.g. an authorisation. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Gets lines that whoever runs this should read. [default the log, each line once] */
  readonly notice?: ((line: string) => void) | undefined;
}

/**
 * The folder at a URL. A body that breaks off goes on where it stopped, if the server has an entity tag by which it is the same
 * file: by a range request, or, from a server that answers those with the whole, by passing over what is there already.
 *
 * @param {string | URL} url - Of the folder; a slash at its end may be left out. In pages it may be relative.
 * @param {AbortSignal} [options.signal] - Ends what is being read.
 * @param {Record<string, string>} [options.headers={}] - Headers of every request.
 * @param {(line: string) => void} [options.notice=console.warn] - Told what is doubtful in the files.
 * @throws {FathomError} unavailable, when a file is asked for and the server does not answer
 * @example
 * ```ts
 * const model = await loadModel(urlFolder("/models/nano/"), browserWasm());
 * ```
 */
export function urlFolder(url: string | URL, options: UrlFolderOptions = {}): ModelFolder {
  const base = `${url}`.replace(/\/?$/, "/");
  const folder = webFolder(base.slice(0, -1), (file) => findFile(base, file, options), options.notice);
  return { ...folder, beside: (name) => urlFolder(siblingOf(base.slice(0, -1), name), options) };
}

/** How files are asked for. */
export interface FindOptions extends UrlFolderOptions {
  /** What the browser's own cache may do. [default the host's] */
  readonly cache?: "no-cache" | "no-store" | undefined;
}

/** A file of which a part was asked for. */
export interface FoundPart extends FoundFile {
  /** The byte with which the body begins: the one asked for, or 0 where the server has no ranges. */
  readonly begin: number;
}

/**
 * Asks for a file, or for what of it comes from a byte on.
 * @param base URL of the folder, with a slash at its end
 * @returns undefined where there is none
 * @throws {FathomError} unavailable
 */
export async function findFile(base: string, file: string, options: FindOptions, from = 0): Promise<FoundPart | undefined> {
  const response = await ask(base, file, options, from === 0 ? {} : { Range: `bytes=${from}-` });
  if (response === undefined) return undefined;
  if (response.status === 206 && !beginsAt(response, from)) {
    await response.body?.cancel();
    throw unreadable(base + file, file, `the server answers another range than the one from byte ${from} on`, { isTransient: true });
  }
  const begin = response.status === 206 ? from : 0;
  const announced = announcedBytes(response);
  const bytes = announced === undefined ? undefined : begin + announced;
  const { body } = response;
  const tag = response.headers.get("etag");
  if (body === null || bytes === undefined || tag === null || tag.startsWith("W/")) return { body, bytes, begin };
  const resume = async (at: number): Promise<ReadableStream<Uint8Array> | undefined> => {
    const rest = await ask(base, file, options, { Range: `bytes=${at}-`, "If-Range": tag });
    if (rest?.status === 206 && beginsAt(rest, at)) return rest.body ?? undefined;
    if (rest?.status === 200 && rest.headers.get("etag") === tag && rest.body !== null) return rest.body.pipeThrough(without(at));
    await rest?.body?.cancel();
    return undefined; // it is another file by now
  };
  return { body: unbroken(body, begin, bytes, resume), bytes, begin };
}

async function ask(
  base: string,
  file: string,
  { signal, headers = {}, cache }: FindOptions,
  range: Readonly<Record<string, string>>,
): Promise<Response | undefined> {
  const init = { headers: { ...headers, ...range }, ...(signal && { signal }), ...(cache && { cache }) };
  const response = await fetch(base + file, init).catch((cause: unknown) => {
    throw unreadable(base + file, file, "the server does not answer", { cause, isTransient: true });
  });
  if (response.ok) return response;
  await response.body?.cancel();
  if (response.status === 404) return undefined;
  throw unreadable(base + file, file, `the server answers with status ${response.status}`, {
    isTransient: isTransientStatus(response.status),
  });
}

/** Whether a part begins where it was asked to; a server of another origin may not let it be seen. */
function beginsAt({ headers }: Response, at: number): boolean {
  const range = headers.get("content-range");
  return range === null || range.startsWith(`bytes ${at}-`);
}

/** Passes on what comes after so many bytes. */
function without(count: number): TransformStream<Uint8Array, Uint8Array> {
  let left = count;
  return new TransformStream({
    transform(chunk, controller) {
      if (chunk.length > left) controller.enqueue(chunk.subarray(left));
      left = Math.max(0, left - chunk.length);
    },
  });
}

/** Breaks in a row, without a byte between, after which a body has ended early. */
const MOST_BREAKS = 3;

/** A body that is asked for again where its connection breaks off. @param resume gives what comes from a byte on */
function unbroken(
  body: ReadableStream<Uint8Array>,
  begin: number,
  end: number,
  resume: (at: number) => Promise<ReadableStream<Uint8Array> | undefined>,
): ReadableStream<Uint8Array> {
  let reader = body.getReader();
  let [at, breaks] = [begin, 0];
  const goOn = async (): Promise<boolean> => {
    while (breaks++ < MOST_BREAKS) {
      const rest = await resume(at).catch(() => "no answer" as const);
      if (rest === "no answer") continue;
      if (rest !== undefined) reader = rest.getReader();
      return rest !== undefined;
    }
    return false;
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      for (;;) {
        try {
          const { done, value } = await reader.read();
          if (done && (at >= end || !(await goOn()))) return controller.close();
          if (done) continue;
          [at, breaks] = [at + value.length, 0];
          return controller.enqueue(value);
        } catch (cause) {
          if (!(await goOn())) throw cause;
        }
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
