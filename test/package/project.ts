/**
 * An empty project of somebody else's with the packed package in it. Packages beside it are linked from this checkout's
 * node_modules, so no registry is needed; what npm itself does is checked by `npm run check:install`.
 */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "../imports.ts";
import { packed } from "./pack.ts";

const run = promisify(execFile);
const NODE_MODULES = join(ROOT, "node_modules");
const QUIET = { WRANGLER_SEND_METRICS: "false", WRANGLER_SEND_ERROR_REPORTS: "false", NO_COLOR: "1", FORCE_COLOR: "0", CI: "1" };

export interface Project {
  readonly folder: string;
  /** Writes files, by their paths within the project. */
  write(files: Readonly<Record<string, string | object>>): Promise<void>;
  /** Runs a program of a package, or "node", in the project. @returns what it wrote to stdout; @throws with all its output */
  run(program: string, ...args: readonly string[]): Promise<string>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ProjectOptions {
  /** Packages to have besides the package and what it needs: the project's name for each, and what it is linked to here. */
  readonly packages?: readonly string[];
  /** Version of hono to have, by the name of its package here. [default "hono"] */
  readonly hono?: string;
  /** A folder whose files the project begins with. */
  readonly from?: string;
}

/** Programs of packages, as their package.json names them. */
const PROGRAMS: Readonly<Record<string, string>> = {
  tsc: "typescript/bin/tsc",
  wrangler: "wrangler/bin/wrangler.js",
  esbuild: "esbuild/bin/esbuild",
  fathom: "fathom-edge/cli/fathom.mjs",
};

/** Makes a project; dispose of it with `await using`. */
export async function project({ packages = [], hono = "hono", from }: ProjectOptions = {}): Promise<Project> {
  const { folder: content } = await packed();
  const folder = await mkdtemp(join(tmpdir(), "fathom-project-"));
  const modules = join(folder, "node_modules");
  if (from !== undefined) await cp(from, folder, { recursive: true });
  await mkdir(modules, { recursive: true });
  await cp(content, join(modules, "fathom-edge"), { recursive: true });
  const { dependencies } = JSON.parse(await readFile(join(content, "package.json"), "utf8")) as { dependencies: Record<string, string> };
  await link(join(NODE_MODULES, hono), join(modules, "hono"));
  for (const name of new Set([...Object.keys(dependencies), ...packages])) await link(join(NODE_MODULES, name), join(modules, name));
  const made: Project = {
    folder,
    async write(files) {
      for (const [name, content] of Object.entries(files)) {
        await mkdir(dirname(join(folder, name)), { recursive: true });
        await writeFile(join(folder, name), typeof content === "string" ? content : JSON.stringify(content, null, 2));
      }
    },
    async run(program, ...args) {
      const file = PROGRAMS[program];
      const script = file === undefined ? [] : [join(file.startsWith("fathom-edge/") ? modules : NODE_MODULES, file)];
      const isNode = file === undefined ? program === "node" : program !== "esbuild";
      const [command, ...rest] = isNode ? [process.execPath, ...script, ...args] : [script[0] ?? program, ...args];
      return run(command!, rest, { cwd: folder, env: { ...process.env, ...QUIET }, maxBuffer: 1 << 26 }).then(
        ({ stdout }) => stdout,
        ({ message, stdout, stderr }: { message: string; stdout: string; stderr: string }) => {
          throw new Error(`${message}\n${stdout}\n${stderr}`);
        },
      );
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
  await made.write({ "package.json": { name: "somebody-elses", private: true, type: "module" } });
  return made;
}

async function link(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await symlink(from, to);
}

/** A compiler's configuration as Workers projects begin with, all checks on. */
export const STRICT = {
  compilerOptions: {
    target: "es2024",
    module: "esnext",
    moduleResolution: "bundler",
    lib: ["es2024", "esnext.disposable"],
    types: ["@cloudflare/workers-types"],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: false,
  },
  include: ["src"],
};
