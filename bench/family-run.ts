/**
 * One step of `fathom bench family` in a process of its own, whose peak of memory is the step's: `convert SOURCE OUT`,
 * `load FOLDER THREADS`, or `decode FOLDER THREADS,THREADS ITERATIONS,ITERATIONS`. Prints JSON.
 */
import { convert } from "../cli/convert.ts";
import { diskFolder } from "../cli/files.ts";
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { generate } from "../engine/decode/generate.ts";
import { NEVER_EXIT } from "../engine/exit-rule.ts";
import { readConfig, readWeights } from "../engine/model/folder.ts";
import type { Backend } from "../engine/port/backend.ts";
import { createWasmBackend } from "../wasm/create.ts";
import type { Kernels, ReplaceKernels } from "../wasm/kernels.ts";
import { createNodeWasmBackend, readBuild } from "../wasm/node.ts";
import { nodeThreads } from "../wasm/node-threads.ts";
import { supportsRelaxedSimd } from "../wasm/select.ts";
import { overSharedMemory } from "../wasm/shared-module.ts";
import { shareTiles } from "../wasm/threads.ts";
import { readBandwidth } from "./bandwidth.ts";
import { endWithParent } from "./child.ts";
import { median } from "./timing.ts";

/** What converting or loading took. */
export interface Cost {
  readonly seconds: number;
  readonly peakMiB: number;
}

/** One depth by one number of threads: medians of several runs, in which the numbers take turns. */
export interface DecodeStep {
  readonly iterations: number;
  readonly threads: number;
  readonly tokensPerSecond: number;
  /** Gigabytes a second that as many threads read right after each run. */
  readonly bandwidthGB: number;
  /** Speed of this number of threads divided by the first one's, which had run just before. */
  readonly gain: number;
}

/** Tokens that a run decodes behind its prompt, and the prompt. */
const NEW_TOKENS = 4;
const PROMPT = [3, 1, 4, 1];
/** Runs of each depth and number of threads: a virtual machine's memory has other minutes. */
const ROUNDS = 3;

endWithParent();
const [step, first = "", second = "", third = ""] = process.argv.slice(2);
console.log(JSON.stringify(await runStep()));
process.channel?.unref(); // or waiting for the parent would keep this alive

function runStep(): Promise<object> {
  if (step === "convert") return convertStep(first, second);
  return step === "load" ? loadStep(first, Number(second)) : decodeStep(first, numbers(second), numbers(third));
}

function numbers(list: string): number[] {
  return list.split(",").map(Number);
}

function peakMiB(): number {
  return process.resourceUsage().maxRSS / 1024;
}

async function convertStep(source: string, out: string): Promise<Cost> {
  const start = performance.now();
  await convert(source, out, "q4");
  return { seconds: (performance.now() - start) / 1000, peakMiB: peakMiB() };
}

async function loadStep(path: string, threads: number): Promise<Cost> {
  const folder = diskFolder(path);
  const start = performance.now();
  const config = await readConfig(folder);
  await createNodeWasmBackend(config, (sink) => readWeights(folder, config, sink), { threads, warm: false });
  return { seconds: (performance.now() - start) / 1000, peakMiB: peakMiB() };
}

/** All numbers of threads decode one model in memory: copies would lie in other pages, some of them badly. */
async function decodeStep(path: string, threads: readonly number[], depths: readonly number[]): Promise<DecodeStep[]> {
  const { backend, use } = await loadForSeveral(path, threads);
  const steps: DecodeStep[] = [];
  for (const iterations of depths) {
    const speeds = threads.map((): number[] => []);
    const bandwidths = threads.map((): number[] => []);
    for (let round = 0; round < ROUNDS; round++)
      for (const [i, count] of threads.entries()) {
        use(count);
        speeds[i]!.push(await tokensPerSecond(backend, iterations));
        bandwidths[i]!.push((await readBandwidth(count)) / 1e9);
      }
    threads.forEach((count, i) => {
      const gain = median(speeds[i]!.map((speed, round) => speed / speeds[0]![round]!));
      const [speed, bandwidthGB] = [median(speeds[i]!), median(bandwidths[i]!)];
      steps.push({ iterations, threads: count, tokensPerSecond: speed, bandwidthGB, gain });
    });
  }
  return steps;
}

/** A model whose products are computed by as many of these numbers of threads as is said last. */
async function loadForSeveral(path: string, threads: readonly number[]): Promise<{ backend: Backend; use(threads: number): void }> {
  const folder = diskFolder(path);
  const config = await readConfig(folder);
  const build = await readBuild(supportsRelaxedSimd() ? "relaxed" : "simd");
  const module = await WebAssembly.compile(overSharedMemory(build));
  const ways = new Map<number, Kernels>();
  let multiply: Kernels["multiply"] | undefined;
  const share: ReplaceKernels = async (alone, arena) => {
    for (const count of threads) ways.set(count, count === 1 ? alone : await shareTiles(nodeThreads(count), module, alone, arena, "pages"));
    const current = (format: keyof Kernels["multiply"]): Kernels["multiply"]["f32"] => {
      return (...product) => (multiply ?? alone.multiply)[format](...product);
    };
    return { ...alone, multiply: { f32: current("f32"), q8: current("q8"), q4: current("q4") } };
  };
  const backend = await createWasmBackend({ module, config, load: (sink) => readWeights(folder, config, sink), share, warm: false });
  return { backend, use: (count) => (multiply = ways.get(count)!.multiply) };
}

async function tokensPerSecond(backend: Backend, iterations: number): Promise<number> {
  const { coreLayers } = backend.config;
  const cache = parseCacheStrategy(`latest-m${coreLayers}-compress-s${coreLayers}`);
  const options = { prompt: PROMPT, maxTokens: NEW_TOKENS + 1, iterations, exit: NEVER_EXIT, cache, stopTokens: new Set<number>() };
  let began: number | undefined;
  for await (const _ of generate(backend, options)) began ??= performance.now();
  return (1000 * NEW_TOKENS) / (performance.now() - began!);
}
