/**
 * What a user meets who brings a model of the family at its published size: converting it to q4, loading it and decoding
 * on Node, by one thread and two, beside how fast the machine reads memory, which is the limit of decoding.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseConfig } from "../engine/model/config.ts";
import { planConversion } from "../engine/model/convert.ts";
import { runChild } from "./child.ts";
import type { Cost, DecodeStep } from "./family-run.ts";
import { shapeOf, writeFamilyCheckpoint, type FamilyShape } from "./family-shapes.ts";

export interface FamilyOptions {
  /** Vocabulary and MLP are this many times narrower than published. */
  readonly shrink: number;
  readonly iterations: readonly number[];
  readonly threads: readonly number[];
  /** Where checkpoints are made; they are removed. [default the system's folder for such files] */
  readonly folder?: string | undefined;
}

export interface FamilyRow extends DecodeStep {
  readonly model: string;
  readonly sourceMB: number;
  readonly q4MB: number;
  readonly convertSeconds: number;
  readonly convertMBPerSecond: number;
  readonly convertPeakMiB: number;
  readonly loadSeconds: number;
  readonly loadPeakMiB: number;
  /** Gigabytes of weights that decoding reads a second, and that by what the memory gives. */
  readonly readGB: number;
  readonly ofBandwidth: number;
}

const RUN = fileURLToPath(new URL("./family-run.ts", import.meta.url));

/** Measures one shape: one checkpoint on disk at a time, and only the converted one while decoding. */
export async function benchFamily(
  name: FamilyShape,
  { shrink, iterations, threads, folder = tmpdir() }: FamilyOptions,
  onStep: () => void,
): Promise<FamilyRow[]> {
  const json = shapeOf(name, shrink);
  const path = await mkdtemp(join(folder, "fathom-family-"));
  const [source, out] = [join(path, "source"), join(path, "q4")];
  try {
    await mkdir(source);
    const bytes = await writeFamilyCheckpoint(source, json);
    onStep();
    const converted = JSON.parse(await runChild(RUN, ["convert", source, out])) as Cost;
    await rm(source, { recursive: true });
    onStep();
    const loads = new Map<number, Cost>();
    for (const count of threads) {
      loads.set(count, JSON.parse(await runChild(RUN, ["load", out, String(count)])) as Cost);
      onStep();
    }
    const decoded = JSON.parse(await runChild(RUN, ["decode", out, threads.join(","), iterations.join(",")])) as DecodeStep[];
    onStep();
    const rows = decoded.map((step): FamilyRow => {
      const readGB = (step.tokensPerSecond * bytesAToken(json, step.iterations)) / 1e9;
      const load = loads.get(step.threads)!;
      return {
        model: shrink === 1 ? name : `${name} / ${shrink}`,
        sourceMB: bytes / 1e6,
        q4MB: planConversion(parseConfig(json), "q4").dataBytes / 1e6,
        convertSeconds: converted.seconds,
        convertMBPerSecond: bytes / 1e6 / converted.seconds,
        convertPeakMiB: converted.peakMiB,
        loadSeconds: load.seconds,
        loadPeakMiB: load.peakMiB,
        ...step,
        readGB,
        ofBandwidth: readGB / step.bandwidthGB,
      };
    });
    return rows;
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

/** Bytes of weights that a decoded token reads: all but a tied or separate embedding once, the core's every iteration. */
function bytesAToken(json: object, iterations: number): number {
  const config = parseConfig(json);
  let bytes = 0;
  for (const [name, { begin, end }] of planConversion(config, "q4").tensors) {
    const isCore = name.includes(".core_block.") || name.includes(".adapter.");
    const isLookedUp = name.includes(".wte.") && !config.tiedHead;
    bytes += isLookedUp ? 0 : (end - begin) * (isCore ? iterations : 1);
  }
  return bytes;
}
