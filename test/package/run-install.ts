/**
 * npm run check:install: the package as npm itself installs it into an empty project, from a registry: what a Worker's
 * install weighs, whether the command runs under its own name, with --deno whether the Deno example answers, and with --git
 * whether an install from a clone of this repository (which has no dist/) does. Ends with 1 where something is wrong, with 3 where no registry answers: that is no pass.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "../imports.ts";
import { packed } from "./pack.ts";

/** Most that a Worker's install may weigh, in bytes; Dawn alone has 132 MB and is installed by whoever wants it. */
const MOST_BYTES = 20e6;

const DENO = "deno@2.9.6";
const QUESTION = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";

const folder = mkdtempSync(join(tmpdir(), "fathom-install-"));
const inFolder = (program: string, ...args: readonly string[]): string =>
  execFileSync(program, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], shell: process.platform === "win32" });

try {
  const { tarball } = await packed();
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
  if (!installs(tarball, "hono")) process.exit(3);
  const bytes = bytesOf(join(folder, "node_modules"));
  const version = inFolder("npx", "--no-install", "fathom-edge", "--version").trim();
  const answer = inFolder("npx", "--no-install", "fathom-edge", "ask", QUESTION).trim();
  console.log(
    `A Worker's install weighs ${(bytes / 1e6).toFixed(1)} MB, of ${MOST_BYTES / 1e6}; fathom-edge ${version} answers ${answer}.`,
  );
  if (!(bytes <= MOST_BYTES) || answer !== "Yes") process.exitCode = 1;
  if (process.argv.includes("--deno")) denoAnswers();
  if (process.argv.includes("--git")) gitAnswers();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function installs(...packages: readonly string[]): boolean {
  try {
    inFolder("npm", "install", "--silent", "--no-audit", "--no-fund", ...packages);
    return true;
  } catch {
    console.error(`NOT CHECKED: npm cannot install ${packages.join(", ")}; is there a registry?`);
    return false;
  }
}

function denoAnswers(): void {
  if (!installs(DENO)) return void (process.exitCode = 3);
  cpSync(join(ROOT, "examples/deno/ask.ts"), join(folder, "ask.ts"));
  cpSync(join(ROOT, "models/nano"), join(folder, "own"), { recursive: true });
  const deno = (...args: readonly string[]): string => inFolder("npx", "--no-install", "deno", "run", "-A", ...args).trim();
  const said = [
    deno("ask.ts", QUESTION),
    deno("ask.ts", QUESTION, "./own"),
    deno("npm:fathom-edge", "ask", "--threads", "2", "--model", "./own", QUESTION),
  ];
  console.log(`Deno says ${said.join(", ")}`);
  if (!said.every((answer) => /^Yes( \(on |$)/.test(answer))) process.exitCode = 1;
}

/** What is committed, cloned and installed as npm installs from git: it builds dist/ on the way, which takes minutes. */
function gitAnswers(): void {
  const clone = join(folder, "clone.git");
  inFolder("git", "clone", "--quiet", "--bare", ROOT, clone);
  if (!installs(`git+${pathToFileURL(clone).href}`, "hono")) process.exit(3);
  const said = inFolder("npx", "--no-install", "fathom-edge", "ask", QUESTION).trim();
  console.log(`Installed from git, it says ${said}`);
  if (said !== "Yes") process.exitCode = 1;
}

function bytesOf(path: string): number {
  return readdirSync(path, { withFileTypes: true }).reduce((sum, entry) => {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) return sum + bytesOf(inner);
    return entry.isFile() ? sum + statSync(inner).size : sum;
  }, 0);
}
