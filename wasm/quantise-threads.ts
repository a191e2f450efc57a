/**
 * Quantising by several threads over one shared memory: tiles are independent, so whoever is free takes the next few, and the
 * bytes are those of one thread. Not here: how a host starts threads (node-quantiser.ts); matrix products (threads.ts).
 */
import type { QuantFormat, QuantLayout } from "../engine/model/quantised.ts";
import { quantisedBytes, TILE_ROWS } from "../engine/model/quantised.ts";
import type { QuantiseTiles } from "../engine/model/quantise.ts";
import { quantiseKernels, type QuantiseKernels } from "./convert.ts";

/** What a thread is started with; all of it can be sent. */
export interface QuantiseWork {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
}

/** Words at the memory's start, in cache lines of their own where several threads write them: see threads.ts for `turn`. */
const [TURN, DONE, JOB] = [0, 16, 32];
const CONTROL_BYTES = 256;
/** Words of a job, from JOB on: format, rows, columns, group, bytes of a tile, address of the tiles, tiles, chunks. */
const JOB_WORDS = 8;
const CHUNKS = JOB_WORDS - 1;
const FORMATS: readonly QuantFormat[] = ["q8", "q4"];

const CHUNK_BITS = 8;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;
/** A stripe of `convert` is quantised in some 20 ms: so nobody waits for more than a few hundred microseconds. */
const MOST_CHUNKS = 64;
/** `turn` where threads are to end. */
const STOP = -1;
const PAGE_BYTES = 65536;
/** Most pages of a shared memory: 256 MiB, far above a stripe. */
const MOST_PAGES = 4096;

/** A memory that threads can have, with room for the control words. */
export function quantiserMemory(): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: 1, maximum: MOST_PAGES, shared: true });
}

/** The caller's side: quantises together with whatever threads run `serveQuantiser` over the same memory. */
export function sharedQuantiser({ module, memory }: QuantiseWork): { readonly quantise: QuantiseTiles; stop(): void } {
  const kernels = quantiseKernels(module, memory);
  const words = controlWords(memory);
  const quantise: QuantiseTiles = (weights, rows, out, { format, columns, group }) => {
    const tiles = Math.ceil(rows / TILE_ROWS);
    const layout: QuantLayout = { format, columns, group, rows: tiles * TILE_ROWS };
    const bytes = quantisedBytes(layout);
    const at = CONTROL_BYTES + rows * columns * 4;
    const missing = at + bytes - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
    new Float32Array(memory.buffer, CONTROL_BYTES, rows * columns).set(weights.subarray(0, rows * columns));
    const packed = new Uint8Array(memory.buffer, at, bytes).fill(0);
    const job = [FORMATS.indexOf(format), rows, columns, group, bytes / tiles, at, tiles, Math.min(tiles, MOST_CHUNKS)];
    job.forEach((word, i) => (words[JOB + i] = word));
    Atomics.store(words, DONE, 0);
    Atomics.store(words, TURN, (((Atomics.load(words, TURN) >>> CHUNK_BITS) + 1) & 0x7fffff) << CHUNK_BITS);
    Atomics.notify(words, TURN);
    while (takeChunk(words, kernels)) continue;
    for (let done = Atomics.load(words, DONE); done < words[JOB + CHUNKS]!; done = Atomics.load(words, DONE))
      Atomics.wait(words, DONE, done);
    out.set(packed);
  };
  const stop = (): void => {
    Atomics.store(words, TURN, STOP);
    Atomics.notify(words, TURN);
  };
  return { quantise, stop };
}

/** A thread's life: takes chunks of whatever is quantised, and sleeps in between. Returns when told to end. */
export function serveQuantiser({ module, memory }: QuantiseWork): void {
  const kernels = quantiseKernels(module, memory);
  const words = controlWords(memory);
  for (;;) {
    const turn = Atomics.load(words, TURN);
    if (turn === STOP) return;
    if (!takeChunk(words, kernels)) Atomics.wait(words, TURN, turn);
  }
}

/** Quantises the next chunk of tiles; false where there is none. */
function takeChunk(words: Int32Array, kernels: QuantiseKernels): boolean {
  const turn = Atomics.load(words, TURN);
  const chunk = turn & CHUNK_MASK;
  const [format, rows, columns, group, tileBytes, at, tiles, chunks] = words.subarray(JOB, JOB + JOB_WORDS) as unknown as number[];
  if (turn === STOP || chunk >= chunks!) return false;
  // where the job has ended meanwhile, what was read above may be a mixture: then this fails
  if (Atomics.compareExchange(words, TURN, turn, turn + 1) !== turn) return true;
  const [from, to] = [Math.floor((tiles! * chunk) / chunks!), Math.floor((tiles! * (chunk + 1)) / chunks!)];
  const first = from * TILE_ROWS;
  const count = Math.min(to * TILE_ROWS, rows!) - first;
  kernels[FORMATS[format!]!](CONTROL_BYTES + first * columns! * 4, count, columns!, group!, at! + from * tileBytes!);
  Atomics.add(words, DONE, 1);
  Atomics.notify(words, DONE);
  return true;
}

function controlWords(memory: WebAssembly.Memory): Int32Array<ArrayBuffer> {
  return new Int32Array(memory.buffer as ArrayBuffer, 0, CONTROL_BYTES / 4);
}
