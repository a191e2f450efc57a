/**
 * Builds dist/, what the package ships: JavaScript without comments, declarations with them, the Wasm builds and the
 * playground's page. Benches stay out: they measure a checkout.
 */
import { spawnSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";

const PROJECTS = ["worker/tsconfig.build.json", "tsconfig.build.json"];
const MADE = ["wasm/build", "examples/browser/build"];

function compile(project: string, ...options: readonly string[]): void {
  const { status } = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", project, ...options], { stdio: "inherit" });
  if (status !== 0) process.exit(1);
}

rmSync("dist", { recursive: true, force: true });
for (const project of PROJECTS) {
  compile(project, "--emitDeclarationOnly");
  compile(project, "--declaration", "false", "--removeComments");
}
for (const folder of MADE) cpSync(folder, `dist/${folder}`, { recursive: true });
