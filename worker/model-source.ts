/**
 * Model folders behind an ASSETS binding, or any Fetcher, and loading them once per isolate. Weights are read through
 * one reused buffer, so that they never exist twice.
 */
import { FathomError } from "../engine/errors.ts";
import type { ModelFolder } from "../engine/model/folder.ts";
import type { Model } from "../engine/port/model.ts";
import type { ByteSource } from "../engine/model/safetensors.ts";
import type { ModelSource } from "./catalogue.ts";

/** Bytes a read: the default reader's 4 KiB pieces take three times as long. */
const READ_BYTES = 1 << 16;

/** The folder `path` of an assets directory. */
export function assetsFolder(assets: Pick<Fetcher, "fetch">, path: string): ModelFolder {
  const get = async (file: string): Promise<Response | undefined> => {
    const response = await assets.fetch(`https://assets.invalid/${path}/${file}`, { headers: { "Accept-Encoding": "identity" } });
    if (response.ok) return response;
    await response.body?.cancel();
    if (response.status === 404) return undefined;
    throw new FathomError("unavailable", `${path}/${file} cannot be read: the assets answer with status ${response.status}.`, file);
  };
  return {
    name: path,
    readText: async (file) => (await get(file))?.text(),
    async open(file): Promise<ByteSource | undefined> {
      const response = await get(file);
      if (response === undefined) return undefined;
      const length = response.headers.get("content-length");
      return {
        name: `${path}/${file}`,
        bytes: length === null || response.headers.has("content-encoding") ? undefined : Number(length),
        open: () => readChunks(response),
      };
    },
  };
}

/** A chunk is valid until the next one is asked for. */
async function* readChunks(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(READ_BYTES);
  try {
    for (;;) {
      const { done, value } = await reader.readAtLeast(READ_BYTES, new Uint8Array(buffer));
      if (value !== undefined && value.length > 0) yield value;
      if (done || value === undefined) return;
      buffer = value.buffer as ArrayBuffer;
    }
  } finally {
    await reader.cancel();
  }
}

/**
 * Loads a model at the first request and keeps it for the isolate's life; requests that come meanwhile wait for the
 * same promise. A failed attempt is forgotten, so the next request tries again.
 */
export function once<Bindings>(load: (bindings: Bindings) => Promise<Model>): ModelSource<Bindings> {
  let shared: Promise<Model> | undefined;
  return (bindings, host) => {
    if (shared !== undefined) return shared;
    const attempt = load(bindings);
    shared = attempt;
    attempt.catch(() => (shared = undefined));
    host.waitUntil(attempt); // the request that began it may be cancelled while others wait
    return attempt;
  };
}
