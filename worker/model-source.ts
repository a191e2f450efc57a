/**
 * Model folders behind an ASSETS binding, or any Fetcher. Weights are read through one reused buffer, so that they never
 * exist twice. Not here: how a load is shared, limited and tried again (loading.ts).
 */
import * as v from "valibot";
import { FathomError } from "../engine/errors.ts";
import type { ModelFolder } from "../engine/model/folder.ts";
import type { ByteSource } from "../engine/model/safetensors.ts";
import { callable, checkOptions, named } from "../engine/options.ts";
import { shareModel, type Load, type LoadOptions, type SharedModel } from "./loading.ts";

/** Bytes a read: the default reader's 4 KiB pieces take three times as long. */
const READ_BYTES = 1 << 16;

/**
 * The folder `path` of an assets directory.
 *
 * @param {AbortSignal} [options.signal] - Ends what is being read; `once` gives one to its load.
 * @throws {FathomError} unavailable, when a file is asked for and the assets do not answer; transient where that may pass
 * @example
 * const model = await loadModel(assetsFolder(env.ASSETS, "nano"), createWorkerBackend);
 */
export function assetsFolder(assets: Pick<Fetcher, "fetch">, path: string, { signal }: { signal?: AbortSignal } = {}): ModelFolder {
  const get = async (file: string): Promise<Response | undefined> => {
    const response = await assets
      .fetch(`https://assets.invalid/${path}/${file}`, { headers: { "Accept-Encoding": "identity" }, ...(signal && { signal }) })
      .catch((cause: unknown) => {
        throw unreadable(`${path}/${file}`, file, "the assets do not answer", { cause, isTransient: true });
      });
    if (response.ok) return response;
    await response.body?.cancel();
    if (response.status === 404) return undefined;
    throw unreadable(`${path}/${file}`, file, `the assets answer with status ${response.status}`, {
      isTransient: response.status >= 500 || response.status === 429 || response.status === 408,
    });
  };
  return {
    name: path,
    notice: tellOnce,
    sha256: (bytes) => crypto.subtle.digest("SHA-256", bytes),
    async readText(file) {
      const response = await get(file);
      if (response === undefined) return undefined;
      const pieces: string[] = [];
      const decoder = new TextDecoder();
      for await (const chunk of readChunks(response, `${path}/${file}`, file)) pieces.push(decoder.decode(chunk, { stream: true }));
      return pieces.join("") + decoder.decode();
    },
    async open(file): Promise<ByteSource | undefined> {
      const response = await get(file);
      if (response === undefined) return undefined;
      return { name: `${path}/${file}`, bytes: announcedBytes(response), open: () => readChunks(response, `${path}/${file}`, file) };
    },
  };
}

const logged = new Set<string>();

/** A line in the log, once in the isolate's life. */
function tellOnce(line: string): void {
  if (logged.has(line)) return;
  logged.add(line);
  console.warn(line);
}

/** Bytes that a response announces; undefined where it announces none, or where the body was decoded on its way. */
function announcedBytes({ headers }: Response): number | undefined {
  const length = headers.get("content-length");
  return length === null || headers.has("content-encoding") ? undefined : Number(length);
}

/** A chunk is valid until the next one is asked for. @throws {FathomError} unavailable where the body ends early */
async function* readChunks(response: Response, name: string, file: string): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(READ_BYTES);
  let taken = 0;
  try {
    for (;;) {
      const { done, value } = await reader.readAtLeast(READ_BYTES, new Uint8Array(buffer)).catch((cause: unknown) => {
        throw unreadable(name, file, `its body broke off after ${taken} bytes`, { cause, isTransient: true });
      });
      taken += value?.length ?? 0;
      if (value !== undefined && value.length > 0) yield value;
      if (done || value === undefined) break;
      buffer = value.buffer as ArrayBuffer;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // a body that broke off cannot be cancelled
  }
  const announced = announcedBytes(response);
  if (announced !== undefined && taken < announced)
    throw unreadable(name, file, `its body has ${taken} of ${announced} bytes`, { isTransient: true });
}

function unreadable(name: string, file: string, why: string, options: { cause?: unknown; isTransient: boolean }): FathomError {
  return new FathomError("unavailable", `${name} cannot be read: ${why}.`, file, options);
}

const onceOptions = named({
  timeLimitMs: v.exactOptional(v.custom<number>((value) => typeof value === "number", "a number of milliseconds")),
});

/**
 * Loads a model at the first request and keeps it for the isolate's life; requests that come meanwhile wait for the same
 * load. A load that fails for a passing reason is tried again at once, twice; then the failure is remembered, from 1 s up
 * to 60 s (a missing or damaged file: from 30 s up to 300 s), and requests get 503 with Retry-After until the next try.
 *
 * @param {(bindings, signal) => Promise<Model>} load - Makes the model; `signal` aborts when the time is up.
 * @param {number} [options.timeLimitMs=30000] - The longest that a load may take, in milliseconds.
 * @throws {TypeError} for anything but a function, and options of other names or types
 * @throws {RangeError} for a time limit that is no positive number
 *
 * @example
 * ```ts
 * const nano = once<{ ASSETS: Fetcher }>(({ ASSETS }, signal) =>
 *   loadModel(assetsFolder(ASSETS, "nano", { signal }), createWorkerBackend),
 * );
 * ```
 */
export function once<Bindings>(load: Load<Bindings>, options: Pick<LoadOptions, "timeLimitMs"> = {}): SharedModel<Bindings> {
  checkOptions("once", callable<Load<Bindings>>(), load);
  const { timeLimitMs } = checkOptions("once", onceOptions, options);
  return shareModel(load, timeLimitMs === undefined ? {} : { timeLimitMs });
}
