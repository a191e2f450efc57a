/**
 * Builds dist/, what the package ships: the modules that its exports, the command and the page reach, bundled into one
 * file an export and those that they share; their declarations with comments; the Wasm builds and the playground's page.
 * What none of them reaches stays out, as benches do: they measure a checkout.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { type OutputOptions, type RolldownOptions, rolldown } from "rolldown";
import { dts } from "rolldown-plugin-dts";

const PROJECTS = ["worker/tsconfig.build.json", "tsconfig.build.json"];
const COPIED: Readonly<Record<string, string>> = {
  "wasm/build": "wasm/build",
  "examples/browser/build/examples/browser/index.html": "examples/browser/index.html",
};

/** Where the command starts and where the page does, and the files that threads run: they are found by these names. */
const STARTS = ["cli/main", "examples/browser/engine", "wasm/node-thread", "wasm/browser-thread", "wasm/quantise-thread"];

/** Packages, and the Wasm builds that a Worker imports as modules: both are resolved where the package is used. */
const EXTERNAL = /^[a-z@]|\.wasm$/;

/** Modules that package.json's exports name, as paths without an ending. */
function exported(): string[] {
  const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as { exports: object };
  const targets = (value: unknown): string[] => (typeof value === "string" ? [value] : Object.values(value as object).flatMap(targets));
  const modules = targets(exports).flatMap((path) => /^\.\/dist\/([^*]*)\.js$/.exec(path)?.[1] ?? []);
  return [...new Set(modules)];
}

/**
 * The folder of a file that several exports share: that of its modules, where it is one. A module that finds files beside
 * itself (`import.meta`) must stay in its own.
 */
function sharedFolder(moduleIds: readonly string[]): string {
  const folderOf = (path: string): string => relative(".", dirname(path));
  const bound = moduleIds.filter((path) => existsSync(path) && /import\.meta\.\w/.test(readFileSync(path, "utf8")));
  const folders = new Set((bound.length > 0 ? bound : moduleIds).map(folderOf));
  if (folders.size === 1) return [...folders][0]!;
  if (bound.length === 0) return "chunks";
  throw new Error(`These modules share a file, but each looks for others beside itself: ${bound.join(", ")}`);
}

/** What is read, and how it is written. */
interface Bundle extends Pick<RolldownOptions, "plugins" | "treeshake">, Pick<OutputOptions, "minify" | "chunkFileNames"> {
  /** Modules of their own file each, as paths without an ending. */
  readonly modules: readonly string[];
  /** Folder of the sources. */
  readonly from: string;
  readonly endings: { readonly source: string; readonly output: string };
}

/** Writes into dist/ a file for each module, and files for what several of them share. */
async function bundle({ modules, from, endings, plugins, treeshake, minify, chunkFileNames }: Bundle): Promise<void> {
  const input = Object.fromEntries(modules.map((name) => [name, resolve(from, name + endings.source)]));
  const bundled = await rolldown({
    input,
    platform: "neutral",
    external: (id) => EXTERNAL.test(id),
    plugins,
    treeshake,
    checks: { bundlerTimings: false },
  });
  const entryFileNames = `[name]${endings.output}`;
  await bundled.write({ dir: "dist", format: "es", entryFileNames, chunkFileNames, hashCharacters: "hex", minify });
  await bundled.close();
}

/** JavaScript, minified; functions and classes keep their names, so that a stack trace can be read. */
function writeModules(): Promise<void> {
  return bundle({
    modules: [...exported(), ...STARTS],
    from: ".",
    endings: { source: ".ts", output: ".js" },
    treeshake: { moduleSideEffects: false },
    minify: { mangle: { toplevel: true, keepNames: true }, compress: true, codegen: true },
    chunkFileNames: ({ moduleIds }) => join(sharedFolder(moduleIds), "[name]-[hash].js"),
  });
}

/** Declarations of all that an export names, and of what those name, with their comments. */
async function writeDeclarations(): Promise<void> {
  const compiled = mkdtempSync(join(tmpdir(), "fathom-types-"));
  for (const project of PROJECTS) compile(project, "--emitDeclarationOnly", "--outDir", compiled);
  await bundle({
    modules: exported(),
    from: compiled,
    endings: { source: ".d.ts", output: ".d.ts" },
    plugins: [dts({ dtsOnly: true, generator: "oxc" })],
    chunkFileNames: "types/[name]-[hash].d.ts",
  });
  rmSync(compiled, { recursive: true });
}

function compile(project: string, ...options: readonly string[]): void {
  const { status } = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", project, ...options], { stdio: "inherit" });
  if (status !== 0) process.exit(1);
}

rmSync("dist", { recursive: true, force: true });
await writeModules();
await writeDeclarations();
for (const [from, to] of Object.entries(COPIED)) cpSync(from, `dist/${to}`, { recursive: true });
