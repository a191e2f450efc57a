/**
 * Folders that commands write: checked before any work, made beside their place, moved there whole. Whatever ends the
 * work early (an error, ctrl-C) leaves the place as it was and nothing beside it; a process that is killed leaves its
 * half-made folder, under another name, which the next one removes.
 */
import { randomUUID } from "node:crypto";
import { readdirSync, renameSync, rmSync } from "node:fs";
import { lstat, mkdir, readdir, realpath, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { FathomError } from "../engine/errors.ts";
import { isModelFile, makerOf, type Maker } from "./model-files.ts";

export interface OutputOptions {
  /** The folder that is read from; the output may be neither it, nor in it, nor around it. */
  readonly source: string;
  readonly maker: Maker;
  /** Write into a folder that `maker` did not make: its model files are replaced, all others stay. [default false] */
  readonly force?: boolean | undefined;
}

/**
 * Says where a command may write. Reads only.
 * @returns the folder's real path
 * @throws {FathomError} invalid_request: a file, a folder of somebody else's, or one that overlaps the source
 */
export async function checkOutput(out: string, { source, maker, force = false }: OutputOptions): Promise<string> {
  const target = await realPath(resolve(out));
  const from = await realPath(resolve(source));
  if (isWithin(target, from) || isWithin(from, target))
    throw new FathomError(
      "invalid_request",
      `${out} and the source ${source} overlap (${target}, ${from}); choose a folder outside of it.`,
      "out",
    );
  const existing = await stat(target).catch(() => undefined);
  if (existing === undefined) return target;
  if (!existing.isDirectory()) throw new FathomError("invalid_request", `${target} is a file; give a folder to write to.`, "out");
  const names = await readdir(target);
  if (names.length === 0 || force || (await makerOf(target)) === maker) return target;
  throw new FathomError(
    "invalid_request",
    `${target} holds files that ${maker} did not write (${names.slice(0, 3).join(", ")}${names.length > 3 ? ", ..." : ""}); ` +
      "choose a new or empty folder, or add --force: it replaces the model files there and keeps all others.",
    "out",
  );
}

/**
 * Fills a new folder beside `target` and puts it in its place. A folder that was there gives way as a whole; what is in
 * it and no part of a model moves over.
 * @param target from `checkOutput`
 */
export async function writeFolder(target: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const made = await makeFolder(dirname(target));
  clearLeftovers(target);
  const staging = `${target}.partial-${process.pid}-${randomUUID().slice(0, 8)}-${MACHINE}`;
  await mkdir(staging).catch((error: Error) => {
    throw new FathomError("invalid_request", `Nothing can be written beside ${target}: ${error.message}.`, "out", { cause: error });
  });
  const discard = (): void => {
    rmSync(staging, { recursive: true, force: true });
    if (made !== undefined && readdirSync(dirname(target)).length === 0) rmSync(made, { recursive: true });
  };
  const stop = (signal: NodeJS.Signals): void => {
    discard();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    await fill(staging);
    replace(target, staging);
  } catch (error) {
    discard();
    if ((error as NodeJS.ErrnoException).code === "ENOSPC")
      throw new FathomError("invalid_request", `The disk of ${target} is full; nothing was kept. Make room, or write elsewhere.`, "out", {
        cause: error,
      });
    throw error;
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

/** Name of this machine within a file's. */
const MACHINE = hostname().replace(/\W/g, "_").slice(0, 64);

/**
 * Removes what killed processes of this machine have left half-made beside a target: gigabytes, with a model. Only told of
 * are what another machine writes on a disk that both share, and a former folder, in which may be more than a model.
 */
function clearLeftovers(target: string): void {
  const own = `${basename(target)}.partial-`;
  for (const name of readdirSync(dirname(target))) {
    const [, pid, machine, former] = (name.startsWith(own) && /^(\d+)-[0-9a-f]{8}-(\w+)(\.former)?$/.exec(name.slice(own.length))) || [];
    if (pid === undefined || (machine === MACHINE && isRunning(Number(pid)))) continue;
    const path = join(dirname(target), name);
    if (machine === MACHINE && former === undefined) {
      rmSync(path, { recursive: true, force: true });
      console.error(`Removed ${path}, which process ${pid} had half made when it was killed.`);
      continue;
    }
    const what = former === undefined ? "is half-made" : `holds what was in ${target}`;
    console.error(`${path} ${what}, by process ${pid} of ${machine}. Remove it if that has ended.`);
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** @returns the topmost folder that had to be made, if any */
async function makeFolder(path: string): Promise<string | undefined> {
  return mkdir(path, { recursive: true }).catch((error: Error) => {
    throw new FathomError("invalid_request", `${path} cannot be made: ${error.message}.`, "out", { cause: error });
  });
}

/**
 * Puts the new folder in the old one's place in one go, so that no signal comes between: readers find the old model or
 * the new one, never a mixture.
 */
function replace(target: string, staging: string): void {
  const former = `${staging}.former`;
  const wasThere = tryRename(target, former);
  try {
    renameSync(staging, target);
  } catch (error) {
    if (wasThere) renameSync(former, target);
    throw error;
  }
  if (!wasThere) return;
  for (const name of readdirSync(former)) if (!isModelFile(name)) renameSync(join(former, name), join(target, name));
  rmSync(former, { recursive: true });
}

function tryRename(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** The path with every symbolic link followed, as far as it exists. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || dirname(path) === path) throw error;
    if ((await lstat(path).catch(() => undefined)) !== undefined)
      throw new FathomError("invalid_request", `${path} is a link to nothing; give a folder to write to.`, "out", { cause: error });
    return join(await realPath(dirname(path)), basename(path));
  }
}

function isWithin(inner: string, outer: string): boolean {
  const path = relative(outer, inner);
  return path === "" || (!isAbsolute(path) && path !== ".." && !path.startsWith(`..${sep}`));
}
