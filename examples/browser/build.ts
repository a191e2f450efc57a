/**
 * Makes examples/browser/build, which `fathom serve --playground` serves: the page, and the engine in one file.
 * Needs kernels/build.
 */
import { copyFile, mkdir, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const folder = fileURLToPath(new URL(".", import.meta.url));
const outfile = `${folder}build/engine.js`;

await mkdir(`${folder}build`, { recursive: true });
await build({ entryPoints: [`${folder}engine.ts`], outfile, bundle: true, format: "esm", target: "es2023", minify: true });
await copyFile(`${folder}index.html`, `${folder}build/index.html`);
console.log(`examples/browser/build/engine.js ${(await stat(outfile)).size} bytes`);
