/**
 * Decoding on WebGPU: the shape in bench/model.ts and the shipped model, with tokens made on the device and step by step
 * through the port, beside the Wasm backend in the same interleaved rounds; and what the device costs and gives by itself.
 */
import { cpus } from "node:os";
import type { Backend } from "../engine/port/backend.ts";
import { parseCacheStrategy, type CacheStrategy } from "../engine/cache-strategy.ts";
import { generate } from "../engine/decode/generate.ts";
import { FathomError } from "../engine/errors.ts";
import { NEVER_EXIT } from "../engine/exit-rule.ts";
import type { BackendFactory, Model } from "../engine/port/model.ts";
import { createWebGpuBackend, type FoundDevice } from "../kernels/index.ts";
import { nodeDevice } from "../kernels/node.ts";
import { createNodeWasmBackend } from "../wasm/node.ts";
import { tokensPerSecond, type DecodeRun } from "./decode-run.ts";
import { BENCH_CONFIG, BENCH_LIMIT_BYTES, benchPrompt, benchWeights, NEW_TOKENS } from "./model.ts";
import { median } from "./timing.ts";
import { benchDispatch, benchMatVec, type DispatchCost, type MatVecRow } from "./webgpu-kernels.ts";

/** The shape of bench/model.ts, the shipped model, and what the device does by itself. */
export const GPU_BENCH_PARTS = ["shape", "shipped", "dispatch", "mat-vec"] as const;
export type GpuBenchPart = (typeof GPU_BENCH_PARTS)[number];

export interface GpuDecodeRow extends DecodeRun {
  readonly engine: "fathom-webgpu" | "fathom-wasm";
  readonly model: string;
  readonly format: string;
  /** Who runs the token loop: "device", "device, fused core", or the host, "step by step". */
  readonly way: string;
  readonly iterations: number;
  readonly host: "node";
  readonly device: string;
}

export interface GpuBench {
  readonly date: string;
  readonly device: string;
  readonly cpu: string;
  readonly dispatch: DispatchCost | undefined;
  readonly matVec: readonly MatVecRow[];
  readonly rows: readonly GpuDecodeRow[];
}

export interface GpuBenchOptions {
  /** [default 5] */
  readonly rounds?: number;
  /** [default 1, 4, 8, 16, 32] */
  readonly iterations?: readonly number[];
  /** [default all] */
  readonly parts?: readonly GpuBenchPart[];
  /** Called after each measured run of a part. [default nobody] */
  readonly onProgress?: (done: number, total: number) => void;
  /** Loads the shipped model into a backend. */
  readonly loadShipped: (factory: BackendFactory) => Promise<Model>;
}

interface Runner {
  readonly row: Omit<GpuDecodeRow, keyof DecodeRun | "iterations" | "host">;
  readonly backend: Backend;
  /** Whether tokens are made in chunks; false: one at a time, though the device could make chunks. */
  readonly chunks: boolean;
  readonly cache: CacheStrategy;
}

/** @throws {FathomError} unavailable where there is no device */
export async function benchWebGpu(options: GpuBenchOptions): Promise<GpuBench> {
  const { rounds = 5, iterations = [1, 4, 8, 16, 32], parts = GPU_BENCH_PARTS, onProgress } = options;
  const probe = await nodeDevice();
  if ("missing" in probe) throw new FathomError("unavailable", `No WebGPU here, because ${probe.missing}.`, "--backend");
  const { device, description, languageFeatures, close } = probe.found;
  const cpu = cpus()[0]?.model ?? "an unnamed processor";
  const rows: GpuDecodeRow[] = [];
  if (parts.includes("shape")) rows.push(...(await measure(rounds, iterations, await shapeRunners(probe.found, cpu), onProgress)));
  if (parts.includes("shipped"))
    rows.push(...(await measure(rounds, iterations, await shippedRunners(probe.found, cpu, options.loadShipped), onProgress)));
  const dispatch = parts.includes("dispatch") ? await benchDispatch(device, rounds) : undefined;
  const matVec = parts.includes("mat-vec") ? await benchMatVec(device, languageFeatures, rounds) : [];
  await close();
  return { date: new Date().toISOString().slice(0, 10), device: description, cpu, dispatch, matVec, rows };
}

const createWasm: BackendFactory = (config, load) => createNodeWasmBackend(config, load, { kv: "int8", limitBytes: BENCH_LIMIT_BYTES });

/** The shape has too long rows for a fused core. */
async function shapeRunners({ device, description, languageFeatures }: FoundDevice, cpu: string): Promise<Runner[]> {
  const shape = { model: "bench shape", format: "q4" };
  const weights = benchWeights(BENCH_CONFIG, "q4");
  const cache = parseCacheStrategy("full");
  const onGpu = { backend: await createWebGpuBackend(device, { languageFeatures })(BENCH_CONFIG, weights), cache };
  const onCpu = { backend: await createWasm(BENCH_CONFIG, weights), cache };
  return [
    { row: { engine: "fathom-webgpu", ...shape, way: "device", device: description }, ...onGpu, chunks: true },
    { row: { engine: "fathom-webgpu", ...shape, way: "step by step", device: description }, ...onGpu, chunks: false },
    { row: { engine: "fathom-wasm", ...shape, way: "step by step", device: cpu }, ...onCpu, chunks: false },
  ];
}

async function shippedRunners(
  { device, description, languageFeatures }: FoundDevice,
  cpu: string,
  loadShipped: GpuBenchOptions["loadShipped"],
): Promise<Runner[]> {
  const gpu = (fusedCore: boolean): BackendFactory => createWebGpuBackend(device, { languageFeatures, fusedCore });
  const ways: [engine: GpuDecodeRow["engine"], way: string, factory: BackendFactory, chunks: boolean][] = [
    ["fathom-webgpu", "device, fused core", gpu(true), true],
    ["fathom-webgpu", "device", gpu(false), true],
    ["fathom-webgpu", "step by step", gpu(false), false],
    ["fathom-wasm", "step by step", createWasm, false],
  ];
  const runners: Runner[] = [];
  for (const [engine, way, factory, chunks] of ways) {
    const { backend, card } = await loadShipped(factory);
    const format = String(card.quantisation?.["format"] ?? "f32");
    const on = engine === "fathom-wasm" ? cpu : description;
    runners.push({ row: { engine, model: card.id, format, way, device: on }, backend, chunks, cache: card.cacheStrategy });
  }
  return runners;
}

/** Medians over rounds in which every runner has its turn at every depth; the first round warms up. */
async function measure(
  rounds: number,
  iterations: readonly number[],
  runners: readonly Runner[],
  onProgress: (done: number, total: number) => void = () => {},
): Promise<GpuDecodeRow[]> {
  const samples = new Map<string, DecodeRun[]>();
  const total = (rounds + 1) * iterations.length * runners.length;
  let done = 0;
  for (let round = 0; round <= rounds; round++)
    for (const r of iterations)
      for (const [i, runner] of runners.entries()) {
        const sample = await runOnce(runner, r);
        onProgress(++done, total);
        if (round > 0) samples.set(`${i} ${r}`, [...(samples.get(`${i} ${r}`) ?? []), sample]);
      }
  return iterations.flatMap((r) =>
    runners.map(({ row }, i) => {
      const own = samples.get(`${i} ${r}`)!;
      return {
        ...row,
        iterations: r,
        prefillTokensPerSecond: median(own.map((s) => s.prefillTokensPerSecond)),
        decodeTokensPerSecond: median(own.map((s) => s.decodeTokensPerSecond)),
        host: "node",
      };
    }),
  );
}

/** Greedy from a zero state, with a fixed number of iterations and no end before the last token. */
async function runOnce({ backend, chunks, cache }: Runner, iterations: number): Promise<DecodeRun> {
  const prompt = benchPrompt().map((token) => token % backend.config.vocabSize);
  const options = {
    prompt,
    maxTokens: NEW_TOKENS,
    iterations,
    exit: NEVER_EXIT,
    cache,
    stopTokens: new Set<number>(),
    ...(!chunks && { chunks: false as const }),
  };
  const start = performance.now();
  let first: number | undefined;
  for await (const _ of generate(backend, options)) first ??= performance.now();
  return tokensPerSecond(first! - start, performance.now() - first!);
}

export function gpuTable({ date, device, cpu, dispatch, matVec, rows }: GpuBench): string {
  const us = (v: number): string => v.toFixed(1);
  const wasm = new Map(rows.filter((r) => r.engine === "fathom-wasm").map((r) => [`${r.model} ${r.iterations}`, r.decodeTokensPerSecond]));
  const lines = [`${date}, ${device}; Wasm on ${cpu}`];
  if (dispatch !== undefined)
    lines.push(
      `a dispatch: ${us(dispatch.recordMicroseconds)} us to record, ${us(dispatch.runMicroseconds)} us to run; a submit and its answer: ${us(dispatch.submitMicroseconds)} us`,
    );
  const matVecCells = matVec.map((r) => [
    r.kernel,
    r.shape,
    r.from,
    `${r.threads}`,
    us(r.microseconds),
    r.gbPerSecond.toFixed(1),
    r.readGbPerSecond.toFixed(1),
  ]);
  if (matVec.length > 0)
    lines.push("", ...table([["kernel", "shape", "from", "threads", "us", "GB/s", "a reading loop, GB/s"], ...matVecCells]));
  const cells = rows.map((r) => [
    r.engine,
    `${r.model} ${r.format}`,
    r.way,
    `${r.iterations}`,
    r.prefillTokensPerSecond.toFixed(0),
    r.decodeTokensPerSecond.toFixed(0),
    (r.decodeTokensPerSecond / wasm.get(`${r.model} ${r.iterations}`)!).toFixed(2),
  ]);
  if (rows.length > 0)
    lines.push("", ...table([["engine", "model", "way", "r", "prefill tokens/s", "decode tokens/s", "times Wasm"], ...cells]));
  return lines.join("\n");
}

function table(lines: readonly (readonly string[])[]): string[] {
  const widths = lines[0]!.map((_, c) => Math.max(...lines.map((line) => line[c]!.length)));
  return lines.map((line) => line.map((cell, c) => (c < 3 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join("  "));
}
