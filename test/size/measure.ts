/**
 * How large what is shipped is, in bytes: the Worker as wrangler uploads it, each Wasm build, the playground's page, the
 * package as npm packs it. Limits are in limits.json, under the same names.
 */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const QUIET = { WRANGLER_SEND_METRICS: "false", WRANGLER_SEND_ERROR_REPORTS: "false", NO_COLOR: "1", FORCE_COLOR: "0" };
const run = promisify(execFile);

export async function workerBytes(): Promise<Record<string, number>> {
  const wrangler = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin/wrangler.js");
  return inTemporaryFolder(async (folder) => {
    const options = { cwd: ROOT, env: { ...process.env, ...QUIET } };
    const { stdout } = await run(process.execPath, [wrangler, "deploy", "--dry-run", "--outdir", folder], options);
    const [, kib] = /gzip: ([\d.]+) KiB/.exec(stdout) ?? [];
    if (kib === undefined) throw new Error(`wrangler tells no size: ${stdout}`);
    return { "Worker bundle, gzip": Math.round(Number(kib) * 1024) };
  });
}

export async function wasmBytes(): Promise<Record<string, number>> {
  const files = (await readdir(join(ROOT, "wasm/build"))).filter((name) => name.endsWith(".wasm")).map((name) => `wasm/build/${name}`);
  return Object.fromEntries(await Promise.all(files.map(async (file) => [file, (await stat(join(ROOT, file))).size])));
}

/** The page as it is served, and with the engine in one file, as a bundler makes it. */
export async function pageBytes(): Promise<Record<string, number>> {
  const folder = join(ROOT, "examples/browser");
  const options = { bundle: true, format: "esm", target: "es2023", minify: true, write: false } as const;
  const { outputFiles } = await build({ ...options, entryPoints: [join(folder, "engine.ts")] });
  const page = gzipSync(await readFile(join(folder, "build/examples/browser/index.html"))).length;
  const engine = outputFiles.reduce((sum, { contents }) => sum + gzipSync(contents).length, 0);
  return { "page, gzip": page, "page with the engine, bundled, gzip": page + engine };
}

/** Built in a copy: tests beside this one run what is here. */
export async function packageBytes(): Promise<Record<string, number>> {
  return inTemporaryFolder(async (folder) => {
    const isCopied = (path: string): boolean => !/\/(node_modules|dist|build|\.git|\.wrangler)(\/|$)/.test(path.slice(ROOT.length - 1));
    await cp(ROOT, folder, { recursive: true, filter: isCopied });
    await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
    const npm = async (...options: string[]): Promise<string> =>
      (await run("npm", options, { cwd: folder, maxBuffer: 1 << 24, shell: process.platform === "win32" })).stdout;
    await npm("run", "--silent", "build");
    const [packed] = JSON.parse(await npm("pack", "--json", "--dry-run", "--ignore-scripts")) as { size: number }[];
    return { "package, packed": packed!.size };
  });
}

async function inTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "fathom-size-"));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
