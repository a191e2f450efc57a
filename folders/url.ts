/**
 * A model folder behind a URL, read by fetch: in pages, in Deno, or from another server.
 */
import type { ModelFolder } from "../engine/model/folder.ts";
import { announcedBytes, isTransientStatus, siblingOf, unreadable, webFolder } from "./web-folder.ts";

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
 * The folder at a URL.
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
export function urlFolder(url: string | URL, { signal, headers = {}, notice }: UrlFolderOptions = {}): ModelFolder {
  const base = `${url}`.replace(/\/?$/, "/");
  const find = async (file: string): Promise<{ body: ReadableStream<Uint8Array> | null; bytes: number | undefined } | undefined> => {
    const response = await fetch(base + file, { headers: { ...headers }, ...(signal && { signal }) }).catch((cause: unknown) => {
      throw unreadable(base + file, file, "the server does not answer", { cause, isTransient: true });
    });
    if (response.ok) return { body: response.body, bytes: announcedBytes(response) };
    await response.body?.cancel();
    if (response.status === 404) return undefined;
    throw unreadable(base + file, file, `the server answers with status ${response.status}`, {
      isTransient: isTransientStatus(response.status),
    });
  };
  const folder = webFolder(base.slice(0, -1), find, notice);
  return { ...folder, beside: (name) => urlFolder(siblingOf(base.slice(0, -1), name), { signal, headers, notice }) };
}
