/**
 * What the machine's memory gives: bytes a second that threads read together, each comparing two buffers that no cache holds.
 * The limit of whatever reads a model's weights once a pass.
 */
import { once } from "node:events";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

const BUFFER_BYTES = 1 << 28;
const LEAST_MS = 700;

/** Bytes a second of all threads together. @param threads the caller's among them */
export async function readBandwidth(threads: number): Promise<number> {
  const others = await Promise.all(
    Array.from({ length: threads - 1 }, async () => {
      const worker = new Worker(new URL(import.meta.url));
      await once(worker, "message"); // its buffers are there
      return worker;
    }),
  );
  const buffers = makeBuffers();
  const theirs = others.map((worker) => once(worker, "message") as Promise<[number]>);
  for (const worker of others) worker.postMessage("begin", []);
  const own = readFor(buffers);
  return (await Promise.all(theirs)).reduce((sum, [bytes]) => sum + bytes, own);
}

function makeBuffers(): readonly [Buffer, Buffer] {
  return [Buffer.alloc(BUFFER_BYTES, 1), Buffer.alloc(BUFFER_BYTES, 1)];
}

function readFor([a, b]: readonly [Buffer, Buffer]): number {
  const start = performance.now();
  let passes = 0;
  for (; performance.now() - start < LEAST_MS; passes++) a.equals(b);
  return (1000 * passes * (a.length + b.length)) / (performance.now() - start);
}

if (!isMainThread) {
  const buffers = makeBuffers();
  parentPort!.once("message", () => parentPort!.postMessage(readFor(buffers), []));
  parentPort!.postMessage("ready", []);
}
