/**
 * What a GPU device costs and gives by itself: a dispatch, a submit with its answer, and the mat-vec of one row in
 * bytes of weights a second, beside a loop that only reads the same buffers in the same rounds.
 */
/// <reference types="@webgpu/types" />
import type { QuantLayout } from "../engine/model/quantised.ts";
import { Device } from "../kernels/device.ts";
import { PLAIN_WGSL } from "../kernels/kernels.ts";
import { pack } from "../kernels/pack.ts";
import { productParams } from "../kernels/phases.ts";
import { SharedBuffers, Step } from "../kernels/program.ts";
import { assemble, compile, type Kernel } from "../kernels/shader.ts";
import { randomFloats, randomTiles } from "./model.ts";
import { median } from "./timing.ts";

export interface DispatchCost {
  /** Recording it in JavaScript and handing it in. */
  readonly recordMicroseconds: number;
  /** Running it, in a chain where each waits for the one before. */
  readonly runMicroseconds: number;
  /** A submit that does next to nothing, until its answer is there. */
  readonly submitMicroseconds: number;
}

export interface MatVecRow {
  readonly kernel: string;
  /** Outputs x inputs. */
  readonly shape: string;
  /** Threads of a workgroup. */
  readonly threads: number;
  /** memory: many copies in turn, more than caches hold; cache: one copy again and again. */
  readonly from: "memory" | "cache";
  readonly microseconds: number;
  readonly gbPerSecond: number;
  /** Gigabytes a second of the loop that only reads. */
  readonly readGbPerSecond: number;
}

/** Bytes that the loop reads, more than the caches of any GPU. */
const MEMORY_BYTES = 256 * 1048576;
const LEAST_COPIES = 16;
const CHAIN = 2048;
/** Long beside a submit on a GPU, where a dispatch takes microseconds. */
const SAMPLE_MS = 50;
const SHAPES: readonly [rows: number, columns: number][] = [
  [1024, 1024],
  [4096, 1024],
  [32000, 512],
];
const GROUP = 64;

const ADD_ONE = `
@group(0) @binding(0) var<storage, read_write> word: array<u32>;
@compute @workgroup_size(1) fn main() { word[0] += 1u; }`;

const READ_ALL = `
@group(0) @binding(0) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32>;
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) all: vec3<u32>) {
  var sum = vec4<u32>(0u);
  for (var i = id.x; i < arrayLength(&weights); i += 256u * all.x) { sum ^= weights[i]; }
  if ((sum.x ^ sum.y ^ sum.z ^ sum.w) == 12345u) { sums[0] = id.x; }
}`;
/** Workgroups of the reading loop, enough for any GPU to keep its memory busy. */
const READ_WORKGROUPS = 1024;

type Record = (pass: GPUComputePassEncoder) => void;

/** Milliseconds until handed in, and from then on until done. */
async function timed(gpu: GPUDevice, record: Record): Promise<{ readonly recording: number; readonly running: number }> {
  const start = performance.now();
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  record(pass);
  pass.end();
  gpu.queue.submit([encoder.finish()]);
  const submitted = performance.now();
  await gpu.queue.onSubmittedWorkDone();
  return { recording: submitted - start, running: performance.now() - submitted };
}

/** Medians over rounds in which every record has its turn; the first round warms up. */
async function rounds(gpu: GPUDevice, count: number, records: readonly Record[]): Promise<{ recording: number; running: number }[]> {
  const samples = records.map((): { recording: number; running: number }[] => []);
  for (let round = 0; round <= count; round++)
    for (const [i, record] of records.entries()) {
      const sample = await timed(gpu, record);
      if (round > 0) samples[i]!.push(sample);
    }
  return samples.map((own) => ({ recording: median(own.map((s) => s.recording)), running: median(own.map((s) => s.running)) }));
}

export async function benchDispatch(gpu: GPUDevice, count: number): Promise<DispatchCost> {
  const device = new Device(gpu, Infinity);
  const kernel = await compile(gpu, "add one", ADD_ONE);
  const step = new Step({ one: kernel, own: { word: device.storage("results", 16, "a word") }, shared: {} });
  const shared = new SharedBuffers();
  const chain = (length: number) => (pass: GPUComputePassEncoder) => {
    for (let i = 0; i < length; i++) step.record(device, shared, pass, 1);
  };
  const [one, many] = await rounds(gpu, count, [chain(1), chain(CHAIN + 1)]);
  return {
    recordMicroseconds: (1000 * (many!.recording - one!.recording)) / CHAIN,
    runMicroseconds: (1000 * (many!.running - one!.running)) / CHAIN,
    submitMicroseconds: 1000 * (one!.recording + one!.running),
  };
}

export async function benchMatVec(gpu: GPUDevice, languageFeatures: ReadonlySet<string>, count: number): Promise<MatVecRow[]> {
  const rows: MatVecRow[] = [];
  for (const format of ["q4", "q8"] as const)
    for (const [outputs, columns] of SHAPES)
      rows.push(...(await benchShape(gpu, languageFeatures, count, { format, rows: outputs, columns, group: GROUP })));
  return rows;
}

interface Job {
  /** Dispatches of one record. */
  readonly dispatches: number;
  readonly record: Record;
}

/** All steps, or as many of them in turn as a slow device takes in SAMPLE_MS. */
async function fitJob(device: Device, shared: SharedBuffers, steps: readonly Step[]): Promise<Job> {
  let next = 0;
  const record = (dispatches: number) => (pass: GPUComputePassEncoder) => {
    for (let i = 0; i < dispatches; i++) steps[next++ % steps.length]!.record(device, shared, pass, 1);
  };
  await timed(device.gpu, record(1)); // a first run may compile
  const { running } = await timed(device.gpu, record(1));
  const dispatches = Math.min(steps.length, Math.max(1, Math.ceil(SAMPLE_MS / running)));
  return { dispatches, record: record(dispatches) };
}

/** Enough copies of a matrix to fill MEMORY_BYTES, so that reading them in turn comes from memory. */
function copiesOf(device: Device, tiles: Uint8Array): GPUBuffer[] {
  return Array.from({ length: Math.max(LEAST_COPIES, Math.ceil(MEMORY_BYTES / tiles.length)) }, () => {
    const buffer = device.storage("weights", tiles.length, "weights");
    device.write(buffer, 0, tiles);
    return buffer;
  });
}

/** The buffers that every kernel here binds, filled for one row: `scratch` is [columns + outputs] f32. */
function sharedBuffers(device: Device, columns: number, outputs: number): SharedBuffers {
  const shared = new SharedBuffers();
  const fill = (name: string, data: Float32Array | Uint32Array): void => {
    const buffer = device.storage("rows", data.byteLength, name);
    device.write(buffer, 0, data);
    shared.set(name, buffer);
  };
  fill("scratch", Float32Array.of(...randomFloats(columns, 2, 1), ...new Float32Array(outputs)));
  fill("states", new Float32Array(4));
  fill("vectors", new Float32Array(4));
  fill("list", Uint32Array.of(1, 0));
  fill("sums", new Uint32Array(4));
  return shared;
}

/** One step a copy, by one kernel. @param width workgroups of a dispatch */
function stepsOver(copies: readonly GPUBuffer[], kernel: Kernel, own: { readonly [name: string]: GPUBuffer }, width: number): Step[] {
  const shared = Object.fromEntries(["scratch", "states", "vectors", "list", "sums"].map((name) => [name, name]));
  return copies.map((weights) => new Step({ one: kernel, own: { ...own, weights }, shared, width }));
}

/** The mat-vec of a layout with each of two workgroup sizes: the steps over all copies. */
async function matVecSteps(
  device: Device,
  languageFeatures: ReadonlySet<string>,
  copies: readonly GPUBuffer[],
  { rows, columns, format }: QuantLayout,
): Promise<[threads: number, steps: Step[]][]> {
  const part = { buffer: copies[0]!, at: 0, from: 0, to: rows };
  const product = {
    matrix: { type: format, rows, columns, group: GROUP, tileWords: 0, parts: [part] },
    input: { source: "scratch", at: 0, norms: [], statsAt: 0, parts: 0 } as const,
    output: { outAt: columns },
  };
  const kernels: [threads: number, steps: Step[]][] = [];
  for (const threads of [64, 256]) {
    const constants = { THREADS: threads, ROWS: 1, STATE_STRIDE: 4 };
    const text = assemble(`matmul_${format}`, constants, languageFeatures.has("packed_4x8_integer_dot_product") ? {} : PLAIN_WGSL);
    const kernel = await compile(device.gpu, `matmul_${format}`, text);
    const params = device.uniform(
      pack(kernel.params!, productParams(product, { part, cachePart: 0, from: 0, to: rows, firstKey: 0 }, columns + rows, 1e-6)),
    );
    kernels.push([threads, stepsOver(copies, kernel, { params }, Math.ceil(rows / kernel.declarations.constant("OUTPUTS")))]);
  }
  return kernels;
}

async function benchShape(gpu: GPUDevice, languageFeatures: ReadonlySet<string>, count: number, layout: QuantLayout): Promise<MatVecRow[]> {
  const { rows: outputs, columns, format } = layout;
  const device = new Device(gpu, Infinity);
  const tiles = randomTiles(layout, 1);
  const copies = copiesOf(device, tiles);
  const shared = sharedBuffers(device, columns, outputs);
  const kernels = await matVecSteps(device, languageFeatures, copies, layout);
  const readWidth = Math.min(READ_WORKGROUPS, Math.ceil(tiles.length / 4096));
  const readers = stepsOver(copies, await compile(gpu, "read all", READ_ALL), {}, readWidth);
  const jobs: Job[] = [];
  for (const steps of [...kernels.map(([, own]) => own), readers])
    for (const own of [steps, steps.map(() => steps[0]!)]) jobs.push(await fitJob(device, shared, own));
  const times = await rounds(gpu, count, [() => undefined, ...jobs.map((job) => job.record)]);
  const [nothing, ...each] = times.map(({ running }) => running);
  const microseconds = each.map((ms, j) => (1000 * (ms - nothing!)) / jobs[j]!.dispatches);
  const rateOf = (us: number): number => tiles.length / us / 1000;
  copies.forEach((buffer) => device.destroy(buffer));
  return kernels.flatMap(([threads], k) =>
    (["memory", "cache"] as const).map((from, f) => ({
      kernel: `matmul_${format}`,
      shape: `${outputs}x${columns}`,
      threads,
      from,
      microseconds: microseconds[2 * k + f]!,
      gbPerSecond: rateOf(microseconds[2 * k + f]!),
      readGbPerSecond: rateOf(microseconds[2 * kernels.length + f]!),
    })),
  );
}
