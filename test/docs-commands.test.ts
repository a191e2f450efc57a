/** Commands in the documents: each `fathom` line parses, each npm script is there, each option that a sentence names exists. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkoutCommand } from "../bench/fathom.ts";
import { readCommandLine } from "../cli/command-line.ts";
import { ROOT } from "./imports.ts";

const pages = [
  "README.md",
  "CONTRIBUTING.md",
  "bench/README.md",
  "onnx/README.md",
  "train/README.md",
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  ...["router", "guard", "chat"].map((name) => `templates/${name}/README.md`),
  "templates/common/model.md",
];

/** Lines of shell blocks, those that go on joined, without prompts and comments. */
function shellLines(page: string): string[] {
  const text = readFileSync(join(ROOT, page), "utf8");
  const blocks = [...text.matchAll(/^```(?:sh|bash)\n([\s\S]*?)^```/gm)].map((m) => m[1]!);
  return blocks
    .flatMap((block) => block.replaceAll("\\\n", " ").split("\n"))
    .map((line) =>
      line
        .replace(/^\$ /, "")
        .replace(/\s+#.*$/, "")
        .trim(),
    );
}

/** The words of a line, quoted ones without their quotes. */
const wordsOf = (line: string): string[] => [...line.matchAll(/"([^"]*)"|'([^']*)'|([^\s"']+)/g)].map((m) => m[1] ?? m[2] ?? m[3]!);

/** What follows `fathom` in each command of a line. */
function fathomCalls(line: string): string[][] {
  return line.split(/\s*(?:&&|\||;)\s*/).flatMap((part) => {
    const words = wordsOf(part);
    const at = words[0] === "npx" ? 1 : 0;
    return words[at] === "fathom" ? [words.slice(at + 1)] : [];
  });
}

const lines = pages.flatMap((page) => shellLines(page).map((line) => ({ page, line })));

describe("commands in documents", () => {
  it("are found", () => {
    expect(lines.filter(({ line }) => fathomCalls(line).length > 0).length).toBeGreaterThan(15);
    expect(fathomCalls('echo "a | b" && npx fathom ask "Who lies?" --json')).toEqual([["ask", "Who lies?", "--json"]]);
  });

  it("parse, with every option that they name", async () => {
    const wrong: string[] = [];
    for (const { page, line } of lines)
      for (const call of fathomCalls(line))
        await readCommandLine(checkoutCommand, call).catch((error: Error) => wrong.push(`${page}: ${line}: ${error.message}`));
    expect(wrong).toEqual([]);
  });

  it("of npm are scripts of package.json, or of the starter's", async () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: Record<string, string> };
    const { projectFiles } = await import("../cli/init/project.ts");
    const starter = JSON.parse(
      (await projectFiles("chat", { name: "a", model: "nano", about: "", isDeciding: false }, ROOT)).get("package.json")!,
    ) as {
      scripts: object;
    };
    const known = [...Object.keys(scripts), ...Object.keys(starter.scripts)];
    const unknown = pages.flatMap((page) => {
      const text = readFileSync(join(ROOT, page), "utf8");
      return [...text.matchAll(/npm run (?:--silent )?([\w:]*\w)/g)]
        .filter(([, name]) => !known.includes(name!))
        .map(([call]) => `${page}: ${call}`);
    });
    expect(unknown).toEqual([]);
  });
});
