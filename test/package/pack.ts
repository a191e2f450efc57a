/**
 * The package as npm publishes it, packed once for all tests of the same sources. Built in a copy: tests beside these
 * run what is here. Kept by a digest of the sources in node_modules/.cache, so that a second run packs nothing.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { ROOT } from "../imports.ts";

const run = promisify(execFile);

/** What the package is built of; generated builds among them, as `npm test` has made them. */
const SOURCES = [
  "engine",
  "wasm",
  "kernels",
  "onnx",
  "folders",
  "worker",
  "cli",
  "examples",
  "bench",
  "docs",
  "models",
  "templates",
  "build.ts",
  "package.json",
];
const PLAIN = ["README.md", "openapi.json", "LICENSE", "tsconfig.json", "tsconfig.build.json", ".npmrc"];

const CACHE = join(ROOT, "node_modules/.cache/fathom-pack");
const PACK_LIMIT_MS = 170_000;

export interface Packed {
  /** The file that `npm pack` made. */
  readonly tarball: string;
  /** The tarball's content: what npm would put into node_modules/fathom-edge. */
  readonly folder: string;
}

/** Packs the package, or gives what has been packed from the same sources. */
export async function packed(): Promise<Packed> {
  const kept = join(CACHE, await digestOf([...SOURCES, ...PLAIN]));
  const found: Packed = { tarball: join(kept, "fathom-edge.tgz"), folder: join(kept, "package") };
  await mkdir(CACHE, { recursive: true });
  const lock = `${kept}.lock`;
  const deadlineMs = Date.now() + PACK_LIMIT_MS;
  for (;;) {
    if (existsSync(found.folder)) return found;
    if (await taken(lock)) break;
    if (Date.now() > deadlineMs) throw new Error(`${lock} is held by another run; remove it if there is none.`);
    await sleep(200);
  }
  try {
    if (!existsSync(found.folder)) await build(kept);
    return found;
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

async function taken(lock: string): Promise<boolean> {
  return mkdir(lock).then(
    () => true,
    () => false,
  );
}

/** A folder appears whole or not at all. */
async function build(target: string): Promise<void> {
  const copy = await mkdtemp(join(tmpdir(), "fathom-pack-")); // Node strips no types below node_modules
  try {
    const isCopied = (path: string): boolean => !/\/(node_modules|dist|\.git|\.wrangler|peers)(\/|$)/.test(path.slice(ROOT.length - 1));
    for (const name of [...SOURCES, ...PLAIN]) await cp(join(ROOT, name), join(copy, name), { recursive: true, filter: isCopied });
    await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
    await run(process.execPath, ["build.ts"], { cwd: copy });
    await run("npm", ["pack", "--silent", "--ignore-scripts"], { cwd: copy, shell: process.platform === "win32" });
    const tarball = (await readdir(copy)).find((name) => name.endsWith(".tgz"))!;
    const made = `${target}-${process.pid}`;
    await mkdir(made);
    await copyFile(join(copy, tarball), join(made, "fathom-edge.tgz"));
    await run("tar", ["-xzf", "fathom-edge.tgz"], { cwd: made });
    await rename(made, target);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function digestOf(names: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  const add = async (path: string): Promise<void> => {
    const entries = await readdir(path, { withFileTypes: true }).catch(() => undefined);
    if (entries === undefined)
      hash
        .update(path.slice(ROOT.length))
        .update("\0")
        .update(await readFile(path));
    else
      for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1)))
        if (!["node_modules", "dist", ".wrangler", "peers"].includes(entry.name)) await add(join(path, entry.name));
  };
  for (const name of names) await add(join(ROOT, name));
  return hash.digest("hex").slice(0, 16);
}
