/**
 * Threads for the Wasm core in pages that are cross-origin isolated: module workers, which end with the page. A bundler that
 * knows `new Worker(new URL(file, import.meta.url))` ships what they run. Not for Deno, where such a worker would keep the
 * program from ending: there node-threads.ts has them.
 */
import type { ThreadHost, ThreadWork } from "./threads.ts";

interface PageGlobals {
  readonly crossOriginIsolated?: boolean;
  readonly document?: unknown;
  readonly navigator?: { readonly hardwareConcurrency?: number };
}

/** Most threads that a page may have: one where it is not cross-origin isolated, as memory cannot be shared then. */
export function pageThreadLimit(page: PageGlobals = globalThis as PageGlobals): number {
  return page.crossOriginIsolated === true ? (page.navigator?.hardwareConcurrency ?? 1) : 1;
}

/** @param threads the caller's among them */
export function pageThreads(threads: number): ThreadHost {
  return {
    threads,
    maySleep: (globalThis as PageGlobals).document === undefined, // a page's own thread may not, a worker's may
    async start(work) {
      await Promise.all(Array.from({ length: threads - 1 }, () => startThread(work)));
    },
  };
}

function startThread(work: ThreadWork): Promise<void> {
  const worker = new Worker(new URL("./browser-thread.js", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.addEventListener("message", () => resolve());
    worker.addEventListener("error", ({ message }) => reject(new Error(`A thread of the Wasm core cannot start: ${message}`)));
    worker.postMessage(work, []);
  });
}
