/** The table of threats: each names tests that exist and that a runner runs. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

const rows = readFileSync(at("docs/threats.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !/^\| (asset|-+) /.test(line))
  .map((line) => {
    const [, asset = "", threat = "", defence = "", tests = ""] = line.split("|").map((cell) => cell.trim());
    return { asset, threat, defence, tests: [...tests.matchAll(/`([^`]+)`/g)].map((match) => match[1]!) };
  });

describe("docs/threats.md", () => {
  it("has threats", () => {
    expect(rows.length).toBeGreaterThan(10);
  });

  it.each(rows)("$threat: has a defence, and tests that are run", ({ asset, threat, defence, tests }) => {
    for (const cell of [asset, threat, defence]) expect(cell).not.toBe("");
    expect(tests.length).toBeGreaterThan(0);
    for (const test of tests) {
      expect(test).toMatch(/^test\/.*\.test\.ts$/);
      expect(existsSync(at(test)), test).toBe(true);
    }
  });
});
