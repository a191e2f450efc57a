/**
 * A tiny random model of one core layer for the scheduler's checks, on the backend named.
 */
import type { Backend } from "../../engine/port/backend.ts";
import { parseConfig } from "../../engine/model/config.ts";
import { readWeights } from "../../engine/model/folder.ts";
import { memoryFolder, TINY_CONFIG, tinyCheckpoint } from "../engine/files.ts";
import { backendFactory } from "../golden/backends.ts";

export async function tinyBackend(name: string): Promise<Backend> {
  const config = parseConfig(TINY_CONFIG);
  return backendFactory(name)(config, (sink) => readWeights(memoryFolder({ "model.safetensors": tinyCheckpoint() }), config, sink));
}
