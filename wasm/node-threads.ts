/**
 * Threads for the Wasm core on Node: worker threads, which end with the process and keep none alive.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { ThreadHost, ThreadWork } from "./threads.ts";

/** Threads that may be asked for: more than this is a slip of the pen. */
export const MOST_THREADS = 64;

/** @param threads the caller's among them */
export function nodeThreads(threads: number): ThreadHost {
  return {
    threads,
    maySleep: true,
    async start(work) {
      await Promise.all(Array.from({ length: threads - 1 }, () => startThread(work)));
    },
  };
}

async function startThread(workerData: ThreadWork): Promise<void> {
  const file = import.meta.url.endsWith(".ts") ? "./node-thread.ts" : "./node-thread.js";
  const worker = new Worker(new URL(file, import.meta.url), { workerData });
  await once(worker, "message");
  worker.unref();
}
