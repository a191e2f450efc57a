/**
 * What a worker thread of Node runs: products of the Wasm core that has started it, until that ends it.
 */
import { parentPort, workerData } from "node:worker_threads";
import { serveTiles, type ThreadWork } from "./threads.ts";

parentPort!.postMessage("ready", []);
serveTiles(workerData as ThreadWork);
