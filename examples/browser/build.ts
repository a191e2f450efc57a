/**
 * Makes examples/browser/build, which `fathom serve --playground` serves: the page, and the engine's modules as
 * JavaScript, in the folders that their sources have. Types are checked elsewhere. Needs kernels/build.
 */
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const tsc = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));

rmSync(`${folder}build`, { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [tsc, "-p", `${folder}tsconfig.build.json`], { stdio: "inherit" });
if (status !== 0) process.exit(1);
cpSync(`${folder}index.html`, `${folder}build/examples/browser/index.html`);
const files = readdirSync(`${folder}build`, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".js"));
console.log(`examples/browser/build ${files.length} modules`);
