/**
 * One step of `fathom bench family` in a process of its own, whose peak of memory is the step's: `convert SOURCE OUT`, or
 * `decode FOLDER THREADS ITERATIONS`. Prints JSON.
 */
import { convert } from "../cli/convert.ts";
import { diskFolder } from "../cli/files.ts";
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { generate } from "../engine/decode/generate.ts";
import { NEVER_EXIT } from "../engine/exit-rule.ts";
import { readConfig, readWeights } from "../engine/model/folder.ts";
import { createNodeWasmBackend } from "../wasm/node.ts";
import { readBandwidth } from "./bandwidth.ts";
import { endWithParent } from "./child.ts";

export interface ConvertStep {
  readonly seconds: number;
  readonly peakMiB: number;
}

export interface DecodeStep {
  readonly loadSeconds: number;
  readonly peakMiB: number;
  /** Gigabytes a second that as many threads read as the step has: the mean of measurements after each depth. */
  readonly bandwidthGB: number;
  readonly tokensPerSecond: readonly number[];
}

/** Tokens that a run decodes behind its prompt, and the prompt. */
const NEW_TOKENS = 4;
const PROMPT = [3, 1, 4, 1];

endWithParent();
const [step, first = "", second = "", third = ""] = process.argv.slice(2);
console.log(JSON.stringify(step === "convert" ? await convertStep(first, second) : await decodeStep(first, Number(second), third)));
process.channel?.unref(); // or waiting for the parent would keep this alive

function peakMiB(): number {
  return process.resourceUsage().maxRSS / 1024;
}

async function convertStep(source: string, out: string): Promise<ConvertStep> {
  const start = performance.now();
  await convert(source, out, "q4");
  return { seconds: (performance.now() - start) / 1000, peakMiB: peakMiB() };
}

async function decodeStep(path: string, threads: number, iterations: string): Promise<DecodeStep> {
  const folder = diskFolder(path);
  const start = performance.now();
  const config = await readConfig(folder);
  const backend = await createNodeWasmBackend(config, (sink) => readWeights(folder, config, sink), { threads, warm: false });
  const loadSeconds = (performance.now() - start) / 1000;
  const loadPeakMiB = peakMiB();
  const tokensPerSecond: number[] = [];
  const bandwidths: number[] = [];
  const cache = parseCacheStrategy(`latest-m${config.coreLayers}-compress-s${config.coreLayers}`);
  for (const depth of iterations.split(",").map(Number)) {
    const options = {
      prompt: PROMPT,
      maxTokens: NEW_TOKENS + 1,
      iterations: depth,
      exit: NEVER_EXIT,
      cache,
      stopTokens: new Set<number>(),
    };
    let began: number | undefined;
    for await (const _ of generate(backend, options)) began ??= performance.now();
    tokensPerSecond.push((1000 * NEW_TOKENS) / (performance.now() - began!));
    bandwidths.push((await readBandwidth(threads)) / 1e9);
  }
  const bandwidthGB = bandwidths.reduce((sum, bandwidth) => sum + bandwidth, 0) / bandwidths.length;
  return { loadSeconds, peakMiB: loadPeakMiB, bandwidthGB, tokensPerSecond };
}
