/**
 * TypeScript in the documents: every block is whole, and passes the type checker against what the package exports.
 */
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { ROOT } from "./imports.ts";
import { entries } from "./public.ts";

const FOLDER = join(ROOT, "node_modules/.cache/docs-code");

interface Block {
  /** `page:line`. */
  readonly at: string;
  readonly code: string;
}

function blocksIn(page: string): Block[] {
  const text = readFileSync(join(ROOT, page), "utf8");
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map((m) => ({
    at: `${page}:${text.slice(0, m.index).split("\n").length + 1}`,
    code: m[1]!,
  }));
}

const docs = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
const blocks = ["README.md", "CONTRIBUTING.md", ...docs.map((name) => `docs/${name}`)].flatMap(blocksIn);

/** Types of a Worker and types of a page or of Node contradict each other. */
const isWorker = ({ code }: Block): boolean => code.includes("fathom-edge/worker");

/** What the type checker says of blocks, one line an error: `page:line` of the block, then file, place and message. */
async function errorsIn(name: string, base: string, some: readonly Block[]): Promise<string[]> {
  const folder = join(FOLDER, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  some.forEach(({ code }, i) => writeFileSync(join(folder, `block-${i}.ts`), `${code}export {};\n`));
  const paths = Object.fromEntries([...entries()].map(([entry, source]) => [entry, [join(ROOT, source)]]));
  const config = { extends: join(ROOT, base), compilerOptions: { paths, noEmit: true }, include: ["*.ts", join(ROOT, "worker/*.d.ts")] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ ...config, exclude: [] }));
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const said = await promisify(execFile)(process.execPath, [tsc, "-p", folder, "--pretty", "false"], { cwd: folder }).then(
    () => "",
    ({ stdout }: { stdout: string }) => stdout,
  );
  return said
    .split("\n")
    .filter((line) => line.includes("error"))
    .map((line) => line.replace(/^block-(\d+)\.ts/, (_, i) => `${some[Number(i)]!.at} `));
}

describe("TypeScript in documents", { timeout: 120_000 }, () => {
  it("passes the type checker in a Worker", async () => {
    const own = blocks.filter(isWorker);
    expect(own.length).toBeGreaterThan(0);
    expect(await errorsIn("worker", "worker/tsconfig.json", own)).toEqual([]);
  });

  it("passes the type checker on Node and in pages, where it names nothing that the package does not export", async () => {
    const own = blocks.filter((block) => !isWorker(block));
    expect(own.length).toBeGreaterThan(0);
    const wrong = { at: "a.md:1", code: 'import { loadModels } from "fathom-edge/engine";\nloadModels();\n' };
    expect(await errorsIn("node", "tsconfig.json", [...own, wrong])).toEqual([expect.stringMatching(/^a\.md:1 .*loadModels/)]);
  });
});
