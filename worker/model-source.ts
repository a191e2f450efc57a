/**
 * Where a Worker's models come from: folders of static assets, of R2 or behind a URL, loaded once. Not here: how a load
 * is shared, limited and tried again (loading.ts).
 */
import * as v from "valibot";
import { callable, checkOptions, named } from "../engine/options.ts";
import { shareModel, type Load, type LoadOptions, type SharedModel } from "./loading.ts";

export type { Host } from "./host.ts";
export type { Lease, Load, LoadState, SharedModel } from "./loading.ts";
export { modelPool, type PooledModel, type PoolLoad } from "./pool.ts";
export { atPaceOfTraffic, type CalibrationNamespace } from "./traffic-calibration.ts";
export type { ModelMemory, ModelPlace } from "../engine/port/model-memory.ts";

export { assetsFolder, type AssetsBinding, type AssetsFolderOptions } from "../folders/assets.ts";
export { r2Folder, type BucketBinding } from "../folders/r2.ts";
export { urlFolder, type UrlFolderOptions } from "../folders/url.ts";

const onceOptions = named({
  timeLimitMs: v.exactOptional(v.custom<number>((value) => typeof value === "number", "a number of milliseconds")),
});

/**
 * Loads a model at the first request and keeps it for the isolate's life; requests that come meanwhile wait for the same
 * load. A load that fails for a passing reason is tried again at once, twice; then the failure is remembered, from 1 s up
 * to 60 s (a missing or damaged file: from 30 s up to 300 s), and requests get 503 with Retry-After until the next try.
 *
 * @param {(bindings, signal, origin) => Promise<Model>} load - Makes the model; `signal` aborts when the time is up, and
 *   `origin` is where the Worker was called, for `assetsFolder` to see that weights are private.
 * @param {number} [options.timeLimitMs=30000] - The longest that a load may take, in milliseconds.
 * @returns a source for `createApp`, which your own code may call, too: `await nano(env, ctx)` is the loaded model
 * @throws {TypeError} for anything but a function, and options of other names or types
 * @throws {RangeError} for a time limit that is no positive number
 *
 * @example
 * ```ts
 * const nano = once<{ ASSETS: Fetcher }>(({ ASSETS }, signal, origin) =>
 *   loadModel(assetsFolder(ASSETS, "nano", { signal, origin }), createWorkerBackend),
 * );
 * ```
 */
export function once<Bindings>(load: Load<Bindings>, options: Pick<LoadOptions, "timeLimitMs"> = {}): SharedModel<Bindings> {
  checkOptions("once", callable<Load<Bindings>>(), load);
  const { timeLimitMs } = checkOptions("once", onceOptions, options);
  return shareModel(load, timeLimitMs === undefined ? {} : { timeLimitMs });
}
