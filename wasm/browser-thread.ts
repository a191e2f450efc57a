/**
 * What a module worker of a page runs: products of the Wasm core that has started it, until that ends it.
 */
import { serveTiles, type ThreadWork } from "./threads.ts";

globalThis.addEventListener("message", ({ data }: MessageEvent<ThreadWork>) => {
  globalThis.postMessage("ready", { transfer: [] });
  serveTiles(data);
});
