/**
 * All golden records of one case on one backend.
 */
import { adaptiveRecords } from "./adaptive-records.ts";
import { cacheRecords } from "./cache-records.ts";
import { loadCase, type BackendFactory } from "./case.ts";
import { coreRecords } from "./core-records.ts";
import { streamRecords } from "./stream-records.ts";
import type { Result } from "./report.ts";

export async function runCase(path: string, createBackend: BackendFactory): Promise<Result[]> {
  const c = await loadCase(path, createBackend);
  const results = [...(await coreRecords(c)), ...(await cacheRecords(c)), ...(await adaptiveRecords(c)), ...(await streamRecords(c))];
  for (const { args } of c.json.diffusion)
    results.push({ record: `diffusion ${JSON.stringify(args)}`, outcome: { status: "skipped", detail: "wavefront decoding" } });
  return results;
}
