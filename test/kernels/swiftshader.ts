/**
 * Runs a program of Node's with SwiftShader, a GPU made of the CPU, as its Vulkan driver:
 *   node test/kernels/swiftshader.ts node_modules/vitest/vitest.mjs run --config test/kernels/vitest.config.ts
 * Takes one library (5 MB) out of Debian's chromium-common and keeps it under node_modules/.cache. No root, no install.
 * Where it cannot be had the program runs all the same, and FATHOM_NO_GPU says why. FATHOM_GPU=system keeps the
 * machine's own driver.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const CACHE = fileURLToPath(new URL("../../node_modules/.cache/swiftshader", import.meta.url));
/** Dawn asks for a Vulkan loader of this name; a driver answers as well. */
const DRIVER = join(CACHE, "libvulkan.so.1");
const LIBRARY = "usr/lib/chromium/libvk_swiftshader.so";

const succeeds = (program: string, args: readonly string[], cwd: string): boolean => spawnSync(program, args, { cwd }).status === 0;

/** Whether the driver is there now. */
function fetchDriver(): boolean {
  if (existsSync(DRIVER)) return true;
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, "unpacked-"));
  const download = (): boolean => succeeds("apt-get", ["download", "chromium-common"], work);
  try {
    if (!download() && !(succeeds("apt-get", ["update"], work) && download())) return false;
    const [name] = readdirSync(work).filter((file) => file.endsWith(".deb"));
    if (name === undefined || !succeeds("dpkg-deb", ["--extract", name, "."], work)) return false;
    renameSync(join(work, LIBRARY), DRIVER);
    return true;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function environment(): NodeJS.ProcessEnv {
  if (process.env["FATHOM_GPU"] === "system") return process.env;
  const { LD_LIBRARY_PATH: path } = process.env;
  const withDriver = { ...process.env, LD_LIBRARY_PATH: path === undefined ? CACHE : `${CACHE}${delimiter}${path}` };
  return fetchDriver() ? withDriver : { ...process.env, FATHOM_NO_GPU: "apt-get cannot download chromium-common, which holds SwiftShader" };
}

const { status } = spawnSync(process.execPath, process.argv.slice(2), { stdio: "inherit", env: environment() });
process.exitCode = status ?? 1;
