/**
 * Damaged model folders over every source: a short run of npm run check:damage.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkRun, refusalOf, shippedFiles } from "./check.ts";
import { DAMAGES } from "./damages.ts";
import { openSources, type Sources } from "./sources.ts";

let sources: Sources;
beforeAll(async () => {
  sources = await openSources();
});
afterAll(() => sources.close());
const files = shippedFiles();

describe("a model folder", () => {
  for (const source of ["disk", "assets", "http"] as const)
    it(`loads undamaged from ${source}`, async () => {
      expect(await refusalOf(sources.folder(source, files))).toBeUndefined();
    });

  Object.keys(DAMAGES).forEach((kind, i) =>
    it(`with damage of the kind "${kind}" is refused by name from every source`, async () => {
      const count = Object.keys(DAMAGES).length;
      for (let run = i; run < i + 3 * count; run += count) {
        const { source, what, refusal } = await checkRun(sources, files, 7, run);
        expect(refusal?.message, `${source}, ${what}`).toMatch(/\S+/);
      }
    }),
  );
});
