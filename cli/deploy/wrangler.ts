/**
 * Cloudflare's wrangler of the user's own project: where its program is, what it reads from a configuration, and runs of
 * it. Never through a shell or a .cmd file, so that every system starts it and signals reach it.
 */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { FathomError } from "../../engine/errors.ts";

/** Local, quiet, and without the network. */
export const QUIET = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  ...(!process.stderr.isTTY && { NO_COLOR: "1", FORCE_COLOR: "0" }),
};

/** wrangler's own program. @param from a file or folder of the project @throws {FathomError} unavailable where it has none */
export function wranglerProgram(from: string): string {
  return join(dirname(resolveIn(from, "wrangler/package.json")), "bin/wrangler.js");
}

function resolveIn(from: string, module: string): string {
  try {
    return createRequire(join(resolve(from), "x.js")).resolve(module);
  } catch (cause) {
    const message = `There is no wrangler in ${resolve(from)}; install it with npm install --save-dev wrangler.`;
    throw new FathomError("unavailable", message, undefined, { cause });
  }
}

/** What of a Worker's configuration matters here, as wrangler reads it. */
export interface WorkerConfig {
  readonly name?: string;
  /** Absolute path of the entry. */
  readonly main?: string;
  readonly compatibility_date?: string;
  readonly compatibility_flags?: readonly string[];
  readonly assets?: { readonly directory?: string; readonly binding?: string; readonly run_worker_first?: boolean | readonly string[] };
  readonly vars?: Readonly<Record<string, unknown>>;
  readonly secrets?: { readonly required?: readonly string[] };
  readonly limits?: { readonly cpu_ms?: number };
}

/** @param path the configuration file @throws {FathomError} invalid_request with wrangler's words on what is wrong in it */
export async function readWranglerConfig(path: string, env: string | undefined): Promise<WorkerConfig> {
  const folder = dirname(path);
  const { unstable_readConfig: read } = (await import(pathToFileURL(resolveIn(folder, "wrangler")).href)) as {
    unstable_readConfig(args: { config: string; env?: string }, options: { hideWarnings: boolean }): WorkerConfig;
  };
  try {
    return read({ config: path, ...(env !== undefined && { env }) }, { hideWarnings: true });
  } catch (cause) {
    throw new FathomError("invalid_request", `${path}: ${(cause as Error).message.trim()}`, "--config", { cause });
  }
}

export interface WranglerRun {
  readonly status: number;
  /** Everything that wrangler wrote; empty where that was shown. */
  readonly output: string;
}

/** Runs wrangler in a project. @param isShown its output goes to this process's own */
export async function runWrangler(folder: string, args: readonly string[], isShown: boolean): Promise<WranglerRun> {
  const child = spawn(process.execPath, [wranglerProgram(folder), ...args], {
    cwd: folder,
    stdio: [isShown ? "inherit" : "ignore", isShown ? "inherit" : "pipe", isShown ? "inherit" : "pipe"],
    env: isShown ? process.env : { ...process.env, ...QUIET },
  });
  const ended = new Promise<number>((done, fail) => child.once("error", fail).once("close", (status) => done(status ?? 1)));
  if (isShown) return { status: await ended, output: "" };
  const [status, output, errors] = await Promise.all([ended, text(child.stdout!), text(child.stderr!)]);
  return { status, output: stripVTControlCharacters(output + errors) };
}
