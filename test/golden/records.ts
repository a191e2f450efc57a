/**
 * All golden records of one case on one backend.
 */
import { adaptiveRecords } from "./adaptive-records.ts";
import { cacheRecords } from "./cache-records.ts";
import { loadCase, type BackendFactory, type GoldenCase } from "./case.ts";
import { coreRecords } from "./core-records.ts";
import { ouroRecords } from "./ouro-records.ts";
import { retrofitRecords } from "./retrofit-records.ts";
import { rotaryRecords } from "./rotary-records.ts";
import { streamRecords } from "./stream-records.ts";
import { diffusionRecords } from "./diffusion-records.ts";
import { check, same, type Result } from "./report.ts";

/** Records by family: what is recorded of the authors' code is not the same for all. */
async function recordsOf(c: GoldenCase): Promise<Result[]> {
  if (c.config.family === "ouro") return [...(await ouroRecords(c)), ...(await rotaryRecords(c)), ...(await streamRecords(c))];
  const common = [...(await coreRecords(c)), ...(await cacheRecords(c)), ...(await adaptiveRecords(c)), ...(await streamRecords(c))];
  if (c.config.family === "huginn") return [...common, ...(await diffusionRecords(c))];
  return [...common, ...(await retrofitRecords(c)), ...(await rotaryRecords(c))];
}

/** Tensors that a case is driven by, not held against. */
const INPUTS = ["ids", "ids_b", "long.ids", "s0", "warm.input_states"];

export async function runCase(path: string, createBackend: BackendFactory): Promise<Result[]> {
  const c = await loadCase(path, createBackend);
  const results = await recordsOf(c);
  if (c.config.family === "huginn") return results;
  const unused = [...c.tensors.keys()].filter((name) => !c.used.has(name) && !INPUTS.includes(name));
  return [...results, await check("every tensor of the case is compared", () => same(unused, []))];
}
