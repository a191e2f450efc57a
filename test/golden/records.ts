/**
 * All golden records of one case on one backend, kind by kind.
 */
import { adaptiveRecords } from "./adaptive-records.ts";
import { cacheRecords } from "./cache-records.ts";
import { loadCase, type BackendFactory, type GoldenCase } from "./case.ts";
import { coreRecords } from "./core-records.ts";
import { streamRecords } from "./stream-records.ts";
import { diffusionRecords } from "./diffusion-records.ts";
import type { Result } from "./report.ts";

const KINDS: Readonly<Record<string, (c: GoldenCase) => Promise<Result[]>>> = {
  core: coreRecords,
  cache: cacheRecords,
  adaptive: adaptiveRecords,
  stream: streamRecords,
  diffusion: diffusionRecords,
};

export const RECORD_KINDS: readonly string[] = Object.keys(KINDS);

/** Results of each kind as soon as they are there: a device made of a CPU takes minutes for some. @param kinds [default all] */
export async function* runKinds(
  path: string,
  createBackend: BackendFactory,
  kinds = RECORD_KINDS,
): AsyncGenerator<{ readonly kind: string; readonly results: readonly Result[] }> {
  const c = await loadCase(path, createBackend);
  for (const kind of kinds) yield { kind, results: await KINDS[kind]!(c) };
}

export async function runCase(path: string, createBackend: BackendFactory): Promise<Result[]> {
  const all: Result[] = [];
  for await (const { results } of runKinds(path, createBackend)) all.push(...results);
  return all;
}
