/**
 * Golden records of the authors' code on the device: the forward pass, every cache strategy of the case, exit rules
 * and a third of the token streams of the smallest case. All cases: npm run golden -- FOLDER --backend webgpu.
 */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { loadCase, type GoldenCase } from "../golden/case.ts";
import { cacheRecords } from "../golden/cache-records.ts";
import { coreRecords } from "../golden/core-records.ts";
import { streamRecords } from "../golden/stream-records.ts";
import type { Result } from "../golden/report.ts";
import { describeOnDevice } from "./device.ts";

const FOLDER = fileURLToPath(new URL("../golden/tiny-111-h2", import.meta.url));

describeOnDevice("golden records of tiny-111-h2", (host) => {
  const kinds = { coreRecords, cacheRecords, streamRecords };
  let loaded: Promise<GoldenCase> | undefined;
  it.each(Object.entries(kinds))("%s", async (_, records) => {
    const c = await (loaded ??= loadCase(FOLDER, host.backend()));
    const streams = c.json.streams.filter((_, i) => i % 3 === 0); // the rest take a minute
    const results: Result[] = await records({ ...c, json: { ...c.json, streams } });
    expect(results.length).toBeGreaterThan(4);
    expect(results.filter(({ outcome }) => outcome.status !== "passed")).toEqual([]);
  });
});
