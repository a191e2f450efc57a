/**
 * A model folder in an R2 bucket: for models above the 25 MiB that a static asset may have, and for models that are
 * swapped without a deployment.
 */
import type { ModelFolder } from "../engine/model/folder.ts";
import { siblingOf, unreadable, webFolder } from "./web-folder.ts";

/** What is used of an R2 binding. */
export interface BucketBinding {
  get(key: string): Promise<{ readonly body: ReadableStream; readonly size: number } | null>;
}

/**
 * The objects of a bucket whose keys begin with `${path}/`.
 *
 * @param {BucketBinding} bucket - The binding, e.g. `env.MODELS`.
 * @param {string} path - Beginning of the keys, without a slash at its end; "" for a folder that is the whole bucket.
 * @param {AbortSignal} [options.signal] - Lets no further file be read once it has aborted.
 * @throws {FathomError} unavailable, when a file is asked for and the bucket does not answer
 * @example
 * ```ts
 * const large = once<{ MODELS: R2Bucket }>(({ MODELS }, signal) =>
 *   loadModel(r2Folder(MODELS, "large", { signal }), createWorkerBackend),
 * );
 * ```
 */
export function r2Folder(bucket: BucketBinding, path: string, { signal }: { readonly signal?: AbortSignal | undefined } = {}): ModelFolder {
  const name = path === "" ? "bucket" : path;
  const folder = webFolder(name, async (file) => {
    signal?.throwIfAborted();
    const object = await bucket.get(path === "" ? file : `${path}/${file}`).catch((cause: unknown) => {
      throw unreadable(`${name}/${file}`, file, "the bucket does not answer", { cause, isTransient: true });
    });
    return object === null ? undefined : { body: object.body as ReadableStream<Uint8Array>, bytes: object.size };
  });
  return { ...folder, beside: (base) => r2Folder(bucket, siblingOf(path, base), { signal }) };
}
