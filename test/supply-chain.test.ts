/**
 * What users get with the package: licences, install scripts and packed files, each by a list. Changing a list is a
 * decision; finding something that is not in one is a failure.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { outcomeOf } from "./supply-chain/advisories.ts";
import { exportedFiles, missing, strangers } from "./supply-chain/packed.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const read = (file: string): any => JSON.parse(readFileSync(`${ROOT}${file}`, "utf8"));

interface Locked {
  readonly version: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
}

const own = read("package.json");
const locked = Object.entries(read("package-lock.json").packages as Record<string, Locked>).filter(([path]) => path !== "");
const nameOf = (path: string): string => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);

/** Licences under which a user may take the package with its own Apache-2.0. */
const LICENCES = ["MIT", "Apache-2.0", "BSD-3-Clause", "BSD-2-Clause", "ISC", "0BSD", "(Apache-2.0 AND BSD-3-Clause)"];

describe("dependencies", () => {
  it("that users get have licences of the list", () => {
    const others = locked.filter(([, { dev, license }]) => dev !== true && !LICENCES.includes(license ?? "none"));
    expect(others.map(([path, { license }]) => `${nameOf(path)}: ${license}`)).toEqual([]);
  });

  it("are installed with no script but those that are named, and none is named in vain", () => {
    const withScript = locked.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => nameOf(path));
    expect([...new Set(withScript)].sort()).toEqual(Object.keys(own.allowScripts).sort());
  });

  it("are fixed to one version and one digest, whatever registry they come from", () => {
    for (const [path, { integrity, resolved }] of locked) {
      expect(integrity, path).toMatch(/^sha512-/);
      expect(resolved, path).toBeUndefined();
    }
    for (const range of Object.values({ ...own.dependencies, ...own.optionalDependencies, ...own.devDependencies }))
      expect(range).toMatch(/^(npm:hono@)?\d+\.\d+\.\d+/);
  });

  it("of users are those that the product imports", () => {
    expect(Object.keys(own.dependencies).every((name) => locked.some(([path, { dev }]) => nameOf(path) === name && dev !== true))).toBe(
      true,
    );
  });
});

describe("the package", () => {
  it("packs nothing but what is listed", () => {
    const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: ROOT,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      shell: process.platform === "win32",
    });
    const [{ files }] = JSON.parse(output) as [{ files: { path: string }[] }];
    const paths = files.map(({ path }) => path);
    expect(strangers(paths)).toEqual([]);
    const unbuilt = exportedFiles(own).filter((path) => !path.startsWith("dist/"));
    expect(missing(paths, unbuilt)).toEqual([]);
  });

  it("would be refused with files that do not belong there", () => {
    const files = ["dist/engine/index.js", "dist/worker/app.d.ts", "dist/wasm/build/simd.wasm", "cli/fathom.mjs"];
    expect(strangers(files)).toEqual([]);
    const wrong = [".env", "models/nano/.DS_Store", "test/a.test.ts", "dist/worker/app.test.js", "dist/engine/.env", "wrangler.toml"];
    expect(strangers([...files, ...wrong])).toEqual(wrong);
    expect(missing(files, ["dist/engine/index.js", "dist/engine/none.js"])).toContain("dist/engine/none.js");
  });
});

describe("an audit of known advisories", () => {
  const none = { vulnerabilities: {}, metadata: { vulnerabilities: { total: 0 } } };

  it("is a pass only where the registry says that there are none", () => {
    expect(outcomeOf(JSON.stringify(none)).status).toBe(0);
  });

  it("names what is known", () => {
    const some = { vulnerabilities: { hono: { name: "hono", severity: "high" } }, metadata: { vulnerabilities: { total: 1 } } };
    expect(outcomeOf(JSON.stringify(some))).toEqual({ status: 1, words: "1 known advisories: hono (high)" });
  });

  it.each([
    "",
    "null",
    "{}",
    "[]",
    "not JSON",
    '{"message":"405 Method Not Allowed"}',
    '{"metadata":{"vulnerabilities":{}}}',
    '{"vulnerabilities":{}}',
  ])("is no pass where the registry did not answer: %j", (answer) => {
    expect(outcomeOf(answer, "network")).toMatchObject({ status: 3, words: expect.stringContaining("NOT CHECKED") });
  });
});
