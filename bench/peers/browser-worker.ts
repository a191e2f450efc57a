/**
 * The little of a browser that wllama needs to run in Node: Worker, blob URLs, and fetch of files by a made-up address.
 */
import { Worker as ThreadWorker } from "node:worker_threads";

/** Stands for file: in addresses that a worker fetches. */
export const FILE_HOST = "http://local-file";

const blobs = new Map<string, Blob>();
/** Runs first in every worker: its globals. */
const PRELUDE = `
const { parentPort } = require("node:worker_threads");
const { readFileSync } = require("node:fs");
const network = globalThis.fetch;
globalThis.fetch = async (target, options) => {
  const url = String(target?.url ?? target);
  if (!url.startsWith("${FILE_HOST}/")) return network(target, options);
  return new Response(readFileSync(new URL(url).pathname), { headers: { "content-type": "application/wasm" } });
};
globalThis.self = globalThis;
globalThis.WorkerGlobalScope = function () {};
globalThis.location = { href: "file:///worker.js" };
globalThis.postMessage = (data, transfer) => parentPort.postMessage(data, Array.isArray(transfer) ? transfer : transfer?.transfer);
parentPort.on("message", (data) => globalThis.onmessage({ data }));
const navigator = { hardwareConcurrency: 1, userAgent: "node", gpu: { requestAdapter: async () => null } };
Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
globalThis.process = undefined;
`;

class BrowserWorker {
  onmessage?: (event: { data: unknown }) => void;
  onerror?: (error: Error) => void;
  #worker: ThreadWorker | undefined;
  #waiting: [data: unknown, transfer: readonly Transferable[] | undefined][] = [];

  constructor(url: string | URL) {
    void this.#start(String(url));
  }

  async #start(url: string): Promise<void> {
    const code = await blobs.get(url)!.text();
    const body = `${PRELUDE}(function (require, module, exports, __filename, __dirname) {\n${code}\nglobalThis.onmessage = onmessage;\n})();`;
    this.#worker = new ThreadWorker(body, { eval: true });
    this.#worker.on("message", (data) => this.onmessage?.({ data }));
    this.#worker.on("error", (error) => this.onerror?.(error as Error));
    for (const [data, transfer] of this.#waiting) this.#worker.postMessage(data, transfer as never);
    this.#waiting = [];
  }

  postMessage(data: unknown, options?: readonly Transferable[] | { transfer?: readonly Transferable[] }): void {
    const transfer = Array.isArray(options) ? (options as Transferable[]) : (options as { transfer?: Transferable[] } | undefined)?.transfer;
    if (this.#worker === undefined) this.#waiting.push([data, transfer]);
    else this.#worker.postMessage(data, transfer as never);
  }

  terminate(): void {
    void this.#worker?.terminate();
  }
}

/** Right before wllama loads: other packages put a Worker of their own there. */
export function installBrowser(): void {
  URL.createObjectURL = (blob) => {
    const url = `blob:local/${blobs.size}`;
    blobs.set(url, blob as Blob);
    return url;
  };
  URL.revokeObjectURL = () => {};
  Object.assign(globalThis, { Worker: BrowserWorker, document: { baseURI: "file:///" } });
}
