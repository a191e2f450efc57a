/**
 * npm run check:pack: builds the package and compares what npm would publish with the list in packed.ts.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { exportedFiles, missing, strangers } from "./packed.ts";

const output = execFileSync("npm", ["pack", "--dry-run", "--json"], {
  encoding: "utf8",
  stdio: ["ignore", "pipe", "inherit"],
  shell: process.platform === "win32",
});
const [pack] = JSON.parse(output.slice(output.indexOf("[\n"))) as [{ files: { path: string }[]; size: number }];
const files = pack.files.map(({ path }) => path);
const own = JSON.parse(readFileSync("package.json", "utf8")) as Parameters<typeof exportedFiles>[0];
const problems = [
  ...strangers(files).map((file) => `does not belong into the package: ${file}`),
  ...missing(files, exportedFiles(own)).map((file) => `is missing in the package: ${file}`),
];
for (const problem of problems) console.error(problem);
console.log(`${files.length} files, ${pack.size} bytes packed, ${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
