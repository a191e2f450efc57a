/**
 * Builds dist/, what the package ships: JavaScript minified file by file, declarations with their comments, the Wasm
 * builds and the playground's page. What no export of package.json, the command or the page reaches stays out, as benches
 * do: they measure a checkout.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { transformSync } from "esbuild";

const PROJECTS = ["worker/tsconfig.build.json", "tsconfig.build.json"];
const COPIED: Readonly<Record<string, string>> = {
  "wasm/build": "wasm/build",
  "examples/browser/build/examples/browser/index.html": "examples/browser/index.html",
};

/** Where the command starts and where the page does: cli/fathom.mjs and the page import them by these names. */
const STARTS = ["dist/cli/main.js", "dist/examples/browser/engine.js"];

function compile(project: string, ...options: readonly string[]): void {
  const { status } = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", project, ...options], { stdio: "inherit" });
  if (status !== 0) process.exit(1);
}

/** Files that package.json's exports name. */
function exported(): string[] {
  const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as { exports: object };
  const targets = (value: unknown): string[] => (typeof value === "string" ? [value] : Object.values(value as object).flatMap(targets));
  return targets(exports).filter((path) => /^\.\/dist\/[^*]*\.js$|^\.\/dist\/[^*]*\.d\.ts$/.test(path));
}

/** The files given and all that they name by a relative path, and so on. @param ending of a compiled file */
function reached(from: readonly string[], ending: ".js" | ".d.ts"): Set<string> {
  const found = new Set<string>();
  const open = from.map(normalize).filter((path) => path.endsWith(ending));
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (found.has(path) || !existsSync(path)) continue;
    found.add(path);
    for (const [, name] of readFileSync(path, "utf8").matchAll(/["'](\.\.?\/[^"']+?)(?:\.d)?\.[jt]s["']/g))
      open.push(join(dirname(path), `${name}${ending}`));
  }
  return found;
}

function compiled(): string[] {
  const paths = readdirSync("dist", { recursive: true, encoding: "utf8" }).map((path) => join("dist", path));
  return paths.filter((path) => /\.js$|\.d\.ts$/.test(path));
}

/** Leaves in dist/ no module and no declaration that cannot be reached. */
function prune(): void {
  const entries = [...exported(), ...STARTS];
  const kept = new Set([...reached(entries, ".js"), ...reached(entries, ".d.ts")]);
  for (const path of compiled()) if (!kept.has(path)) rmSync(path);
}

/** Modules keep their files, so that a stack trace names one; methods and exports keep their names. */
function minified(code: string): string {
  return transformSync(code, { format: "esm", target: "es2024", minify: true, charset: "utf8" }).code;
}

/** A file's head comment is for readers of the source: no editor shows it. */
function withoutHead(declarations: string): string {
  return declarations.replace(/^\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n(?=import|export [*{]|export type \{|\/\*\*|\/\/\/)/, "");
}

function shrink(): void {
  for (const path of compiled()) {
    const text = readFileSync(path, "utf8");
    writeFileSync(path, path.endsWith(".js") ? minified(text) : withoutHead(text));
  }
}

rmSync("dist", { recursive: true, force: true });
for (const project of PROJECTS) {
  compile(project, "--emitDeclarationOnly");
  compile(project, "--declaration", "false", "--removeComments");
}
prune();
shrink();
for (const [from, to] of Object.entries(COPIED)) cpSync(from, `dist/${to}`, { recursive: true });
