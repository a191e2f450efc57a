/**
 * Makes examples/browser/build, which the servers give to browsers: the page in one file, and the engine's modules as
 * JavaScript, in the folders that their sources have. The page goes among the Worker's assets, too, and so does
 * the description of the API. Types are checked
 * elsewhere. Needs kernels/build.
 */
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const folder = fileURLToPath(new URL(".", import.meta.url));
const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const ENTRY = '<script type="module" src="./page/main.ts"></script>';
const page = `${folder}build/examples/browser/index.html`;

rmSync(`${folder}build`, { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [fromRoot("node_modules/typescript/bin/tsc"), "-p", `${folder}tsconfig.build.json`], {
  stdio: "inherit",
});
if (status !== 0) process.exit(1);
const { outputFiles } = await build({
  entryPoints: [`${folder}page/main.ts`],
  bundle: true,
  format: "esm",
  target: "es2023",
  minify: true,
  write: false,
});
const html = readFileSync(`${folder}index.html`, "utf8");
if (!html.includes(ENTRY)) throw new Error(`index.html has no ${ENTRY}`);
const script = outputFiles[0]!.text.trim().replaceAll("</script", String.raw`<\/script`);
writeFileSync(
  page,
  html.replace(ENTRY, () => `<script type="module">${script}</script>`),
);
cpSync(page, fromRoot("models/index.html"));
cpSync(fromRoot("openapi.json"), fromRoot("models/openapi.json"));
const files = readdirSync(`${folder}build`, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".js"));
console.log(`examples/browser/build ${files.length} modules, page of ${readFileSync(page).length} bytes`);
