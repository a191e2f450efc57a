/** What is shipped stays small. Limits are in limits.json; raise one on purpose, in the commit that needs it. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { packageBytes, pageBytes, wasmBytes, workerBytes } from "./measure.ts";

const limits = JSON.parse(readFileSync(new URL("limits.json", import.meta.url), "utf8")) as Record<string, number>;

/** A limit above twice the size guards nothing. */
const MOST_SLACK = 2;

describe("in bytes, within its limit and not far below it:", { timeout: 600_000 }, () => {
  it.each([
    ["the Worker", workerBytes],
    ["every Wasm build", wasmBytes],
    ["the page", pageBytes],
    ["the package", packageBytes],
  ])("%s", async (_, measure) => {
    for (const [name, bytes] of Object.entries(await measure())) {
      expect(limits, `a limit for ${name}, which has ${bytes} bytes`).toHaveProperty([name]);
      expect(bytes, name).toBeLessThanOrEqual(limits[name]!);
      expect(bytes * MOST_SLACK, name).toBeGreaterThan(limits[name]!);
    }
  });
});
