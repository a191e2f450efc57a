/** Programs that are started: on every system in the same way, Windows among them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT, sourcesIn } from "./imports.ts";

/** Programs that Windows has as .cmd files alone, which only a shell starts. */
const COMMAND_FILES = ["npm", "npx", "wrangler", "vitest", "tsc", "prettier"];
const START = /(?<![.\w])(?:spawn|spawnSync|execFile|execFileSync|run)\(\s*"([\w-]+)",[^;]*;/g;

/** Calls that start a .cmd file, and say nothing of a shell. */
function startedBare(text: string): string[] {
  return [...text.matchAll(START)]
    .filter(([call, name]) => COMMAND_FILES.includes(name!) && !call.includes("shell:"))
    .map(([, name]) => name!);
}

const sources = ["cli", "bench", "test", "wasm", "kernels", "worker", "examples"]
  .flatMap(sourcesIn)
  .filter((file) => file !== "test/programs.test.ts");

describe("programs", () => {
  it("that are .cmd files on Windows are started through a shell there", () => {
    const bare = sources.flatMap((file) => startedBare(readFileSync(join(ROOT, file), "utf8")).map((name) => `${file} starts ${name}`));
    expect(bare).toEqual([]);
    expect(startedBare('spawn("npm", ["ci"]);\nspawn("npm", ["ci"], { shell: true });\nspawn("git", []);')).toEqual(["npm"]);
  });

  it("of npm scripts are Node's, or npm's own", () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: Record<string, string> };
    const words = Object.entries(scripts).flatMap(([name, line]) => line.split("&&").map((part) => [name, part.trim().split(/\s+/)[0]!]));
    const known = ["node", "npm", "oxlint", "prettier", "tsc", "vitest", "knip"];
    expect(words.filter(([, program]) => !known.includes(program!))).toEqual([]);
  });
});
