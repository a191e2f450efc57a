/**
 * Embeds kernels/shaders into kernels/build/sources.ts, so that Node, bundlers and browsers get them by an import.
 * Comments and indentation are left out.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const names = (await readdir(`${folder}shaders`, { recursive: true })).filter((name) => name.endsWith(".wgsl")).sort();
const entries: string[] = [];
for (const name of names) {
  const lines = (await readFile(`${folder}shaders/${name}`, "utf8")).split("\n").map((line) => line.replace(/\/\/.*/, "").trim());
  const text = lines.filter((line) => line !== "").join("\n");
  entries.push(`  ${JSON.stringify(name.replaceAll("\\", "/"))}: ${JSON.stringify(text)},`);
}
await mkdir(`${folder}build`, { recursive: true });
await writeFile(
  `${folder}build/sources.ts`,
  `/** Made by kernels/build.ts from kernels/shaders. */\nexport const SOURCES: Readonly<Record<string, string>> = {\n${entries.join("\n")}\n};\n`,
);
console.log(`kernels/build/sources.ts ${names.length} files`);
