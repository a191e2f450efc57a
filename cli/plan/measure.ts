/**
 * What the plan cannot know from a card, measured by loading the model once: CPU time of the load, bytes of the weights
 * and of a request.
 */
import { loadNodeModel } from "../models.ts";

export interface Footprint {
  /** CPU milliseconds that loading took: read, digests, compiling, warm-up. */
  readonly loadCpuMs: number;
  /** Bytes of Wasm memory with the model loaded and nobody asking. */
  readonly idleBytes: number;
  /** Bytes that a request of the planned length holds while it is answered. */
  readonly requestBytes: number;
}

/** @param positions tokens of prompt and completion together */
export async function measureFootprint(name: string, positions: number): Promise<Footprint> {
  const before = process.cpuUsage();
  const { backend, card } = await loadNodeModel(name, "wasm");
  const { user, system } = process.cpuUsage(before);
  const idleBytes = backend.memory().usedBytes;
  const requestBytes = backend.sequenceBytes({ capacity: positions, maxIterations: card.maxIterations, cache: card.cacheStrategy });
  return { loadCpuMs: (user + system) / 1000, idleBytes, requestBytes };
}
