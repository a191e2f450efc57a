/**
 * What a worker thread of `fathom convert` runs, until it is told to end.
 */
import { parentPort, workerData } from "node:worker_threads";
import { serveQuantiser, type QuantiseWork } from "./quantise-threads.ts";

parentPort!.postMessage("ready", []);
serveQuantiser(workerData as QuantiseWork);
