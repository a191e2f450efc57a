/**
 * All golden records of one case on one backend.
 */
import { adaptiveRecords } from "./adaptive-records.ts";
import { cacheRecords } from "./cache-records.ts";
import { loadCase, type BackendFactory } from "./case.ts";
import { coreRecords } from "./core-records.ts";
import { streamRecords } from "./stream-records.ts";
import { diffusionRecords } from "./diffusion-records.ts";
import type { Result } from "./report.ts";

export async function runCase(path: string, createBackend: BackendFactory): Promise<Result[]> {
  const c = await loadCase(path, createBackend);
  return [
    ...(await coreRecords(c)),
    ...(await cacheRecords(c)),
    ...(await adaptiveRecords(c)),
    ...(await streamRecords(c)),
    ...(await diffusionRecords(c)),
  ];
}
