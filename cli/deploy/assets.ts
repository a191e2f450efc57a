/**
 * Checks of what is uploaded as static assets: sizes and number, models whole and within memory, and whether anybody can
 * fetch their weights.
 */
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { ISOLATE_LIMIT_BYTES } from "../../wasm/limits.ts";
import { ASSET_BYTES, type WorkersPlan } from "../plan/platform.ts";
import { verify } from "../verify.ts";
import { fail, ok, warn, type Check } from "./check.ts";
import type { WorkerConfig } from "./wrangler.ts";

/** Lists what wrangler leaves out of the upload, by gitignore's rules. */
const IGNORE_FILE = ".assetsignore";
const WEIGHTS = /\.(?:safetensors|onnx)$/;

export interface Assets {
  /** Paths below the folder, with slashes, and their bytes. */
  readonly files: ReadonlyMap<string, number>;
  readonly folder: string;
}

/** What the configuration would upload; undefined for nothing. */
export async function readAssets({ assets }: WorkerConfig, configPath: string): Promise<Assets | undefined> {
  if (assets?.directory === undefined) return undefined;
  const folder = resolve(dirname(configPath), assets.directory);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const sizes = paths.map(async (path) => [relative(folder, path).split(sep).join("/"), (await stat(path)).size] as const);
  return { folder, files: new Map(await Promise.all(sizes)) };
}

export function checkSizes({ folder, files }: Assets, plan: WorkersPlan): Check[] {
  if (!existsSync(folder)) return [fail("assets", `${folder} is not there; "assets.directory" must name a folder.`)];
  const large = [...files].filter(([, bytes]) => bytes > ASSET_BYTES);
  const object = existsSync(join(folder, IGNORE_FILE)) ? warn : fail;
  const found = large.map(([path, bytes]) =>
    object(
      "assets",
      `${path} has ${mib(bytes)} MiB; an asset may have ${mib(ASSET_BYTES)}. Cut weights by fathom convert --shard 24MiB, or keep them in R2 (docs/deploy.md).`,
    ),
  );
  if (files.size > plan.assetFiles) found.push(fail("assets", `${files.size} files; the ${plan.name} plan allows ${plan.assetFiles}.`));
  const all = [...files.values()].reduce((sum, bytes) => sum + bytes, 0);
  return found.length > 0
    ? found
    : [ok("assets", `${files.size} files, ${mib(all)} MiB, the largest ${mib(Math.max(0, ...files.values()))}`)];
}

/** Folders below the assets that hold a model, as paths with slashes. */
export function modelFolders({ files }: Assets): string[] {
  const folders = [...files.keys()].filter((path) => WEIGHTS.test(path)).map((path) => dirname(path));
  return [...new Set(folders)].filter((folder) => files.has(folder === "." ? "config.json" : `${folder}/config.json`));
}

/** Every file against its card, and the weights against an isolate's memory. */
export async function checkModel(assets: Assets, folder: string): Promise<Check> {
  const path = join(assets.folder, folder);
  const name = `model ${folder === "." ? basename(assets.folder) : folder}`;
  const wrong = (await verify(path)).find(({ problem }) => problem !== undefined);
  if (wrong !== undefined) return fail(name, `${wrong.name} ${wrong.problem}; see fathom verify ${path}.`);
  const bytes = [...assets.files].filter(([file]) => WEIGHTS.test(file) && dirname(file) === folder).reduce((sum, [, n]) => sum + n, 0);
  if (bytes > ISOLATE_LIMIT_BYTES)
    return fail(name, `The weights have ${mib(bytes)} MiB; an isolate has ${mib(ISOLATE_LIMIT_BYTES)} for weights and requests.`);
  return ok(name, `${mib(bytes)} MiB of weights, all files as the card lists them`);
}

/** Assets are answered before the Worker, keys or not, unless it comes first. */
export function checkPrivacy(assets: Assets, { assets: settings }: WorkerConfig, isAllowed: boolean): Check {
  const name = "weights";
  const open = [...assets.files.keys()].filter((path) => WEIGHTS.test(path) && !isWorkerFirst(`/${path}`, settings?.run_worker_first));
  if (open.length === 0) return ok(name, "only the Worker can fetch them");
  const says = `Anybody can fetch /${open[0]}${open.length > 1 ? ` and ${open.length - 1} more` : ""}: assets are answered before the Worker.`;
  return isAllowed
    ? warn(name, `${says} You allowed it.`)
    : fail(name, `${says} Set "run_worker_first": true in "assets", or add --public-weights if that is meant.`);
}

/** Whether a path goes to the Worker: to all, or to a pattern with * that no pattern with ! takes back. */
export function isWorkerFirst(path: string, setting: boolean | readonly string[] | undefined): boolean {
  if (setting === undefined || typeof setting === "boolean") return setting === true;
  const matches = (pattern: string): boolean =>
    new RegExp(`^${pattern.replaceAll(/[\\^$.+?()[\]{}|]/g, "\\$&").replaceAll("*", ".*")}$`).test(path);
  const [negative, positive] = [setting.filter((p) => p.startsWith("!")), setting.filter((p) => !p.startsWith("!"))];
  return positive.some(matches) && !negative.some((pattern) => matches(pattern.slice(1)));
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 2 : 1);
}
