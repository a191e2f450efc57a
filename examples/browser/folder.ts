/**
 * A model folder behind a URL, read by fetch and checked by WebCrypto.
 */
import { FathomError } from "../../engine/errors.ts";
import type { ModelFolder } from "../../engine/model/folder.ts";

/** @param url of the folder, ending with a slash @param notice gets what whoever runs this should read */
export function fetchFolder(url: string, notice: (line: string) => void): ModelFolder {
  const { subtle } = crypto as { subtle?: SubtleCrypto }; // absent where the page came by http from another machine
  return {
    name: url,
    notice,
    ...(subtle && { sha256: (bytes) => subtle.digest("SHA-256", bytes) }),
    readText: async (file) => (await find(url + file))?.text(),
    async open(file) {
      const response = await find(url + file);
      if (response === undefined) return undefined;
      const length = response.headers.get("content-length");
      const isWhole = length !== null && !response.headers.has("content-encoding");
      return { name: file, bytes: isWhole ? Number(length) : undefined, open: () => chunks(response) };
    },
  };
}

async function* chunks(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body!.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel();
  }
}

/** A file's response; undefined where the server has no such file. @throws {Error} where it answers otherwise */
async function find(url: string): Promise<Response | undefined> {
  const response = await fetch(url);
  if (response.ok) return response;
  await response.body?.cancel();
  if (response.status === 404) return undefined;
  throw new FathomError("unavailable", `${url} cannot be read: the server answers with status ${response.status}.`, url);
}
