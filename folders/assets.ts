/**
 * A model folder among a Worker's static assets, read through their binding. Assets answer before the Worker unless
 * wrangler's configuration says run_worker_first, and would give the weights to everyone: where the origin of a request
 * is known, that is found out before anything is loaded.
 */
import { FathomError } from "../engine/errors.ts";
import type { ModelFolder } from "../engine/model/folder.ts";
import { announcedBytes, isTransientStatus, siblingOf, unreadable, webFolder } from "./web-folder.ts";

/** What is used of an ASSETS binding. */
export interface AssetsBinding {
  fetch(input: string, init?: RequestInit): Promise<Response>;
}

/** What `assetsFolder` may be told. */
export interface AssetsFolderOptions {
  /** Ends what is being read; `once` gives one to its load. */
  readonly signal?: AbortSignal | undefined;
  /** Where the Worker is called, such as "https://shop.example"; `once` gives it to its load. Files are looked for there. */
  readonly origin?: string | undefined;
  /** The files may be had by everyone: nothing is looked for. [default false] */
  readonly isPublic?: boolean | undefined;
}

/** How long the look from outside may take, in milliseconds: a load is not to wait for what does not answer. */
const LOOK_LIMIT_MS = 1000;

/** Names of hosts that are nobody's (RFC 2606): tests call Workers by them. */
const NOBODYS = /\.(test|example|invalid)(:\d+)?$/;

/** Every model folder has it, and it is small. */
const LOOKED_FOR = "config.json";

/**
 * The folder `path` of an assets directory.
 *
 * @param {AssetsBinding} assets - The binding, e.g. `env.ASSETS`.
 * @param {string} path - The folder's path within the directory of assets, e.g. `nano`.
 * @param {AbortSignal} [options.signal] - Ends what is being read.
 * @param {string} [options.origin] - Where the Worker is called; with it, a folder that everyone could download is refused.
 * @param {boolean} [options.isPublic=false] - The files are meant for everyone.
 * @throws {FathomError} unavailable, when a file is asked for and the assets do not answer, or give it to everyone
 * @example
 * ```ts
 * const nano = once<{ ASSETS: Fetcher }>(({ ASSETS }, signal, origin) =>
 *   loadModel(assetsFolder(ASSETS, "nano", { signal, origin }), createWorkerBackend),
 * );
 * ```
 */
export function assetsFolder(
  assets: AssetsBinding,
  path: string,
  { signal, origin, isPublic = false }: AssetsFolderOptions = {},
): ModelFolder {
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
      isTransient: isTransientStatus(response.status),
    });
  };
  let looked: Promise<void> | undefined;
  const look = async (): Promise<void> => {
    if (origin === undefined || isPublic || NOBODYS.test(origin)) return;
    const own = await (await get(LOOKED_FOR))?.text();
    if (own === undefined || (await textAt(`${origin}/${path}/${LOOKED_FOR}`)) !== own) return;
    throw new FathomError(
      "unavailable",
      `The model's files are public: ${origin}/${path}/${LOOKED_FOR} gives one to everyone, and so it would the weights. ` +
        "Assets answer before the Worker unless wrangler's configuration has run_worker_first = true in [assets]; add it, and deploy again. " +
        "Files that are meant for everyone: assetsFolder(ASSETS, path, { isPublic: true }).",
      LOOKED_FOR,
    );
  };
  const folder = webFolder(path, async (file) => {
    await (looked ??= look());
    const response = await get(file);
    return response && { body: response.body, bytes: announcedBytes(response) };
  });
  return { ...folder, beside: (base) => assetsFolder(assets, siblingOf(path, base), { signal, origin, isPublic }) };
}

/** What anybody gets at an address; undefined where that is nothing, or not to be had in time. */
async function textAt(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(LOOK_LIMIT_MS) });
    if (response.ok) return await response.text();
    await response.body?.cancel();
  } catch {
    // not every host lets a Worker call itself
  }
  return undefined;
}
