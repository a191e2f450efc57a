/** Documents: every link leads somewhere, every file that is named exists, and every page is in the index. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "./imports.ts";

/** Installed, made, or another's. */
const SKIPPED = ["node_modules", "dist", "build", ".git", ".wrangler", "shared", "coverage"];

function pagesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.includes(entry.name) ? [] : pagesIn(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

const pages = pagesIn("");
const textOf = (page: string): string => readFileSync(join(ROOT, page), "utf8");
const withoutCode = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, "");

/** As GitHub makes them of headings. */
function anchorsOf(page: string): string[] {
  return [...withoutCode(textOf(page)).matchAll(/^#+ (.*)$/gm)].map((m) =>
    m[1]!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replaceAll(/\s/g, "-"),
  );
}

function brokenLinks(page: string): string[] {
  const targets = [...withoutCode(textOf(page)).matchAll(/\]\(([^)\s]+)\)/g)]
    .map((m) => m[1]!)
    .filter((target) => !/^[a-z]+:/i.test(target));
  return targets.flatMap((target) => {
    const [path, anchor] = target.split("#") as [string, string | undefined];
    const file = path === "" ? page : relative(ROOT, join(ROOT, dirname(page), decodeURIComponent(path)));
    if (!existsSync(join(ROOT, file))) return [`${page}: ${target} is not there`];
    const hasAnchors = anchor !== undefined && statSync(join(ROOT, file)).isFile();
    return hasAnchors && !anchorsOf(file).includes(anchor) ? [`${page}: ${target} has no such heading`] : [];
  });
}

/** A file with its folder, from the root or from the page's own folder; made files are not looked for. */
function missingFiles(page: string): string[] {
  const named = [...textOf(page).matchAll(/`([\w.-]+(?:\/[\w.-]+)+\.(?:ts|mjs|wgsl|toml|md|py|sh))`/g)].map((m) => m[1]!);
  const isThere = (path: string): boolean => [ROOT, join(ROOT, dirname(page))].some((from) => existsSync(join(from, path)));
  return named.filter((path) => !path.includes("/build/") && !isThere(path)).map((path) => `${page}: \`${path}\` is not there`);
}

describe("documents", () => {
  it("link to what is there", () => {
    expect(pages).toContain("README.md");
    expect(pages.flatMap(brokenLinks)).toEqual([]);
  });

  it("name files that are there", () => {
    expect(pages.flatMap(missingFiles)).toEqual([]);
  });

  it("are all in the index", () => {
    const linked = [...textOf("docs/README.md").matchAll(/\]\(([^)\s#]+)\)/g)].map((m) => relative(ROOT, join(ROOT, "docs", m[1]!)));
    const own = pages.filter((page) => page.startsWith("docs/") && page !== "docs/README.md");
    expect(own.filter((page) => !linked.includes(page))).toEqual([]);
    expect(textOf("README.md").includes("(docs/README.md)"), "README.md links to the index").toBe(true);
  });
});
