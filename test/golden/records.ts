/**
 * All golden records of one case on one backend, kind by kind. What is recorded of the authors' code differs by family.
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

type Records = (c: GoldenCase) => Promise<Result[]>;

const none: Records = async () => [];
const together = (...parts: readonly Records[]): Records => {
  return async (c) => {
    const all: Result[] = [];
    for (const part of parts) all.push(...(await part(c)));
    return all;
  };
};

const HUGINN = { core: coreRecords, cache: cacheRecords, adaptive: adaptiveRecords, stream: streamRecords, diffusion: diffusionRecords };
const RETROFITTED = { ...HUGINN, core: together(coreRecords, retrofitRecords, rotaryRecords), diffusion: none };
const OURO = { core: together(ouroRecords, rotaryRecords), cache: none, adaptive: none, stream: streamRecords, diffusion: none };

const BY_FAMILY: Readonly<Record<GoldenCase["config"]["family"], Readonly<Record<string, Records>>>> = {
  huginn: HUGINN,
  "retrofitted-llama": RETROFITTED,
  "retrofitted-olmo": RETROFITTED,
  ouro: OURO,
};

export const RECORD_KINDS: readonly string[] = Object.keys(HUGINN);

/** Tensors that a case is driven by, not held against. */
const INPUTS = ["ids", "ids_b", "long.ids", "s0", "warm.input_states"];

/** Results of each kind as soon as they are there: a device made of a CPU takes minutes for some. @param kinds [default all] */
export async function* runKinds(
  path: string,
  createBackend: BackendFactory,
  kinds = RECORD_KINDS,
): AsyncGenerator<{ readonly kind: string; readonly results: readonly Result[] }> {
  const c = await loadCase(path, createBackend);
  for (const kind of kinds) yield { kind, results: await BY_FAMILY[c.config.family][kind]!(c) };
  if (c.config.family === "huginn" || kinds.length < RECORD_KINDS.length) return;
  const unused = [...c.tensors.keys()].filter((name) => !c.used.has(name) && !INPUTS.includes(name));
  yield { kind: "rest", results: [await check("every tensor of the case is compared", () => same(unused, []))] };
}

export async function runCase(path: string, createBackend: BackendFactory): Promise<Result[]> {
  const all: Result[] = [];
  for await (const { results } of runKinds(path, createBackend)) all.push(...results);
  return all;
}
