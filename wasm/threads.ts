/**
 * Matrix products by several threads over one shared memory: a product's tiles are taken a few at a time by whoever is
 * free, the caller's own thread among them. Each tile is one thread's, computed as by one alone, so results are the same
 * bits. Not here: how a host starts threads (node.ts, browser.ts).
 *
 * All go by a block of words in the shared memory. `turn` holds the number of the product and of the next chunk of its
 * tiles; a thread takes a chunk by raising it, which fails where a product has ended meanwhile. `done` counts chunks.
 */
import { weightSpecs } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { Arena } from "./arena.ts";
import { bindMatrices, type BoundsChecks, type DotPath, type Kernels } from "./kernels.ts";

/** What a thread is started with; all of it can be sent. */
export interface ThreadWork {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Address of the control words. */
  readonly control: number;
  readonly path: DotPath;
  readonly bounds: BoundsChecks;
}

/** A host's threads. */
export interface ThreadHost {
  /** Threads to compute by, the caller's among them. */
  readonly threads: number;
  /** Whether the caller's thread may sleep; in a page it may not. */
  readonly maySleep: boolean;
  /** Starts the others, and resolves once each has called `serveTiles`. */
  start(work: ThreadWork): Promise<void>;
}

/** Words of the control block, in cache lines of their own where several threads write them. */
const [TURN, DONE, JOB] = [0, 16, 32];
const CONTROL_BYTES = 256;
/** Words of a job, from JOB on: format, record, first tile, tiles, input, rows, output, chunks. */
const CHUNKS = 7;
const FORMATS = ["f32", "q8", "q4"] as const;

/** Low bits of `turn`: the chunk. Products are counted in the others, and start anew after 2^24 of them. */
const CHUNK_BITS = 8;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;
/**
 * Chunks a thread, from large ones to small: nobody waits long for the last, and few are taken, each of which begins to read
 * anew. Two threads decode 1 to 4 % faster than by 8 equal ones (Ouro-1.4B and Recurrent-Llama-3.2-1B, in turn).
 */
const CHUNKS_A_THREAD = 6;
/** `turn` where threads are to end. */
const STOP = -1;

/** Weights of a model from which threads help: below, a product is done before another thread has woken up. */
const WORTH_THREADS = 1 << 25;
/** Threads beyond this gain little: decoding is limited by the memory's bandwidth, which they share. */
const MOST_THREADS = 4;

/** Threads for a model where nobody says: one where it is small, else as many as the host has, up to four. */
export function threadsFor(config: ModelConfig, most: number): number {
  const weights = weightSpecs(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  return weights < WORTH_THREADS ? 1 : Math.min(MOST_THREADS, most);
}

/** @throws {TypeError} */
export function checkThreads(caller: string, threads: number, most: number): void {
  if (Number.isInteger(threads) && threads >= 1 && threads <= most) return;
  throw new TypeError(`${caller}: threads must be a whole number from 1 to ${most}, not ${threads}.`);
}

/** Bytes of weights, times rows, from which a product is shared: below, waking the others takes longer than they save. */
const LEAST_WORK_BYTES = 1 << 17;
/**
 * Looks at a word before a thread goes to sleep: some 0.7 ms, more than the caller's thread is alone between two products of a
 * large model. In a virtual machine a sleeper takes 50 us and more to wake: with 4,000 looks two threads decoded 1.46 to 1.52
 * times as fast as one, with these 1.60 to 1.66 (Ouro-1.4B, two cores).
 */
const SPINS = 60_000;
/** Sleep until the next look, for a caller whose last chunk another thread has. */
const NAP_MS = 1;

/**
 * Lets a host's threads share the products of some kernels. The arena's memory must be shared.
 * @returns the kernels, whose products are shared from now on
 */
export async function shareTiles(
  host: ThreadHost,
  module: WebAssembly.Module,
  kernels: Kernels,
  arena: Arena,
  bounds: BoundsChecks,
): Promise<Kernels> {
  const { address } = arena.allocate("tables", CONTROL_BYTES, "the threads' control words");
  const { memory } = arena;
  const words = controlWords(memory, address).fill(0);
  await host.start({ module, memory, control: address, path: kernels.path, bounds });
  whenUnused.register(arena, words);
  const tileBytesAt = kernels.records.Matrix.at.tileBytes;
  const most = Math.min(host.threads * CHUNKS_A_THREAD, CHUNK_MASK);
  const shared = (format: number): Kernels["multiply"]["f32"] => {
    const alone = kernels.multiply[FORMATS[format]!];
    return (record, firstTile, tiles, input, rows, output) => {
      const work = tiles * rows * arena.words[record / 4 + tileBytesAt]!;
      if (work < LEAST_WORK_BYTES || tiles < host.threads) return alone(record, firstTile, tiles, input, rows, output);
      const job = [format, record, firstTile, tiles, input, rows, output, Math.min(tiles, most)];
      job.forEach((word, i) => (words[JOB + i] = word));
      Atomics.store(words, DONE, 0);
      const product = ((Atomics.load(words, TURN) >>> CHUNK_BITS) + 1) & 0x7fffff;
      Atomics.store(words, TURN, product << CHUNK_BITS);
      Atomics.notify(words, TURN);
      while (takeChunk(words, kernels.multiply)) continue;
      awaitAll(words, host.maySleep);
    };
  };
  return { ...kernels, multiply: { f32: shared(0), q8: shared(1), q4: shared(2) } };
}

/** A thread's life: takes chunks of whatever product is under way, and sleeps in between. Returns when told to end. */
export function serveTiles({ module, memory, control, path, bounds }: ThreadWork): void {
  const words = controlWords(memory, control);
  const multiply = bindMatrices(module, memory, path, bounds);
  for (;;) {
    const turn = Atomics.load(words, TURN);
    if (turn === STOP) return;
    if (takeChunk(words, multiply)) continue;
    let spins = SPINS;
    while (spins > 0 && Atomics.load(words, TURN) === turn) spins--;
    if (spins === 0) Atomics.wait(words, TURN, turn);
  }
}

/** Computes the next chunk of the product under way; false where there is none. */
function takeChunk(words: Int32Array, multiply: Kernels["multiply"]): boolean {
  const turn = Atomics.load(words, TURN);
  const chunk = turn & CHUNK_MASK;
  const chunks = words[JOB + CHUNKS]!;
  if (turn === STOP || chunk >= chunks) return false;
  // word by word: a list of them, made for each chunk, takes longer than the rest of this
  const [format, record, firstTile] = [words[JOB]!, words[JOB + 1]!, words[JOB + 2]!];
  const [tiles, input, rows, output] = [words[JOB + 3]!, words[JOB + 4]!, words[JOB + 5]!, words[JOB + 6]!];
  // where the product has ended meanwhile, what was read above may be a mixture: then this fails
  if (Atomics.compareExchange(words, TURN, turn, turn + 1) !== turn) return true;
  const [from, to] = [firstTileOf(chunk, chunks, tiles), firstTileOf(chunk + 1, chunks, tiles)];
  multiply[FORMATS[format]!](record >>> 0, firstTile + from, to - from, input >>> 0, rows, (output >>> 0) + 64 * from);
  if (Atomics.add(words, DONE, 1) + 1 === chunks) Atomics.notify(words, DONE);
  return true;
}

/** Where a chunk begins, and the one before it ends: each is smaller than the one before by as much, the last the smallest. */
function firstTileOf(chunk: number, chunks: number, tiles: number): number {
  return tiles - Math.floor((tiles * (chunks - chunk) ** 2) / chunks ** 2);
}

function awaitAll(words: Int32Array, maySleep: boolean): void {
  const chunks = words[JOB + CHUNKS]!;
  for (let spins = 0; ; spins++) {
    const done = Atomics.load(words, DONE);
    if (done === chunks) return;
    if (maySleep && spins > SPINS) Atomics.wait(words, DONE, done, NAP_MS);
  }
}

function controlWords(memory: WebAssembly.Memory, address: number): Int32Array<ArrayBuffer> {
  return new Int32Array(memory.buffer as ArrayBuffer, address, CONTROL_BYTES / 4);
}

/** Ends the threads of a backend that nobody holds any more. */
const whenUnused = new FinalizationRegistry((words: Int32Array) => {
  Atomics.store(words, TURN, STOP);
  Atomics.notify(words, TURN);
});
