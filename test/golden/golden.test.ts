/**
 * Golden vectors on every backend: the cases kept here, and all of the authors' cases where they lie beside the checkout.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { backendFactory, BACKENDS } from "./backends.ts";
import { findCases } from "./case.ts";
import { runCase } from "./records.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const referenceFolder = (folder: string): string => fileURLToPath(new URL(`../../../shared/reference/${folder}`, import.meta.url));

const own = (await findCases(HERE)).map((path) => path);
const found = await Promise.all(["golden", "golden-siblings"].map(referenceFolder).filter(existsSync).map(findCases));
const shared = found.flat().filter((path) => !own.some((o) => o.split("/").at(-1) === path.split("/").at(-1)));

for (const backend of BACKENDS)
  describe(`the ${backend} backend`, () => {
    for (const path of [...own, ...shared])
      it(`reproduces the golden case ${path.split("/").at(-1)}`, { timeout: 240_000 }, async () => {
        const results = await runCase(path, backendFactory(backend));
        expect(results.filter((r) => r.outcome.status === "failed")).toEqual([]);
        expect(results.filter((r) => r.outcome.status === "passed").length).toBeGreaterThan(35);
      });
    if (shared.length === 0) it.skip("reproduces the golden cases beside the checkout (none there)", () => {});
  });
