/**
 * The quantiser of `fathom convert` on Node, by as many threads as the machine has cores, up to four.
 */
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { QuantiseTiles } from "../engine/model/quantise.ts";
import { readBuild } from "./node.ts";
import { quantiserMemory, sharedQuantiser, type QuantiseWork } from "./quantise-threads.ts";
import { overSharedMemory } from "./shared-module.ts";

/** Threads beyond four gain nothing: reading and checking the weights, which one thread does, takes longer than quantising then. */
const MOST_THREADS = 4;

export interface NodeQuantiser {
  readonly quantise: QuantiseTiles;
  /** Ends its threads. */
  stop(): void;
}

/** @param threads the caller's among them [default one a core, up to four] @throws {FathomError} unavailable */
export async function nodeQuantiser(threads = Math.min(MOST_THREADS, availableParallelism())): Promise<NodeQuantiser> {
  const work: QuantiseWork = { module: await WebAssembly.compile(overSharedMemory(await readBuild("convert"))), memory: quantiserMemory() };
  await Promise.all(Array.from({ length: threads - 1 }, () => startThread(work)));
  return sharedQuantiser(work);
}

async function startThread(workerData: QuantiseWork): Promise<void> {
  const file = import.meta.url.endsWith(".ts") ? "./quantise-thread.ts" : "./quantise-thread.js";
  const worker = new Worker(new URL(file, import.meta.url), { workerData });
  await once(worker, "message");
  worker.unref();
}
