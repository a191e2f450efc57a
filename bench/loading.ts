/**
 * How long a model folder takes to load into the Wasm core, with and without its digests checked, both in every round.
 */
import type { ModelFolder } from "../engine/model/folder.ts";
import { loadModel } from "../engine/port/model.ts";
import { createNodeWasmBackend } from "../wasm/node.ts";

export interface LoadingRow {
  readonly folder: string;
  readonly weightsMB: number;
  /** The fastest of the rounds, in milliseconds: whatever else the machine does only adds. */
  readonly checkedMs: number;
  readonly uncheckedMs: number;
  readonly ratio: number;
}

/** Memory limit of the Wasm core, more than an isolate has: speed is measured here. */
const LIMIT_BYTES = 1024 * 1048576;

/** @param name for the table; rounds are odd and even: which of the two goes first alternates */
export async function benchLoading(folder: ModelFolder, name: string, rounds: number, onRound: () => void): Promise<LoadingRow> {
  const { sha256: _, ...rest } = folder;
  const unchecked: ModelFolder = { ...rest, notice: () => undefined };
  const times = { checked: [] as number[], unchecked: [] as number[] };
  const weights = await folder.open("model.safetensors");
  for (let round = -1; round < rounds; round++) {
    onRound();
    for (const way of round % 2 === 0 ? (["checked", "unchecked"] as const) : (["unchecked", "checked"] as const)) {
      const ms = await timeLoad(way === "checked" ? folder : unchecked);
      if (round >= 0) times[way].push(ms); // the first round brings the files into the system's cache
    }
  }
  const [checkedMs, uncheckedMs] = [Math.min(...times.checked), Math.min(...times.unchecked)];
  return { folder: name, weightsMB: (weights?.bytes ?? 0) / 1e6, checkedMs, uncheckedMs, ratio: checkedMs / uncheckedMs };
}

async function timeLoad(folder: ModelFolder): Promise<number> {
  const start = performance.now();
  await loadModel(folder, (config, load) => createNodeWasmBackend(config, load, { limitBytes: LIMIT_BYTES }));
  return performance.now() - start;
}
