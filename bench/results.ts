/**
 * Where runs are kept: bench/results/NAME.jsonl, one line a run with its commit, machine and figures, so that a claim can
 * be traced to the run behind it and two commits can be compared later.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { arch, cpus, loadavg, platform, release, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { FathomError } from "../engine/errors.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** `linux 6.8.0 x64` */
  readonly os: string;
  readonly node: string;
  readonly v8: string;
  /** Runnable processes in the minute before the run: what other work took part of the machine. */
  readonly load: number;
}

export interface Commit {
  readonly commit: string;
  /** Files differ from the commit. */
  readonly isDirty: boolean;
}

export interface SavedRun<Result> extends Commit {
  readonly bench: string;
  /** When the run began, ISO 8601. */
  readonly date: string;
  /** Options of the run, defaults included. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly machine: Machine;
  readonly result: Result;
}

/** Candidates for the checkout's folder of kept runs: beside this file, or beside dist/ where the code was compiled. */
const FOLDERS = ["results/", "../../bench/results/"].map((path) => fileURLToPath(new URL(path, import.meta.url)));
const FOLDER = FOLDERS.find((folder) => existsSync(join(folder, "README.md"))) ?? FOLDERS[0]!;

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "an unnamed processor",
    cores: cpus().length,
    memoryBytes: totalmem(),
    os: `${platform()} ${release()} ${arch()}`,
    node: process.versions.node,
    v8: process.versions.v8,
    load: Number(loadavg()[0]!.toFixed(2)),
  };
}

/** @throws {FathomError} unavailable outside a git checkout: a run without its commit tells nothing */
export async function describeCommit(folder = FOLDER): Promise<Commit> {
  try {
    const git = async (...options: string[]): Promise<string> => (await promisify(execFile)("git", options, { cwd: folder })).stdout.trim();
    await git("ls-files", "--error-unmatch", "README.md"); // or this may be another project's checkout, around an installed package
    const changes = await git("status", "--porcelain", "--untracked-files=no", ":/", ":(exclude,top)bench/results");
    return { commit: await git("rev-parse", "HEAD"), isDirty: changes !== "" };
  } catch (cause) {
    throw new FathomError("unavailable", "--save keeps runs in a git checkout of Fathom; here is none.", "--save", { cause });
  }
}

/** @returns the file that the run was appended to */
export async function saveRun(run: SavedRun<unknown>, folder = FOLDER): Promise<string> {
  const path = join(folder, `${run.bench}.jsonl`);
  await appendFile(path, `${JSON.stringify(run)}\n`);
  return path;
}
