/**
 * Makes a WebGPU backend: weights onto the device, kernels compiled, programs laid out.
 */
/// <reference types="@webgpu/types" />
import type { WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { WebGpuBackend } from "./backend.ts";
import { cacheLayout } from "./cache-layout.ts";
import { Device } from "./device.ts";
import { compileKernels, canFuseCore } from "./kernels.ts";
import { scratchLayout, stateLayout } from "./layout.ts";
import { buildPrograms } from "./programs.ts";
import type { FloatFormat } from "./tiles.ts";
import { coreBytes, joinCore, loadWeights } from "./weights.ts";

/** Options of `createWebGpuBackend`. */
export interface WebGpuOptions {
  /** Most bytes on the device: weights, rows and caches together. [default no limit but the device's own] */
  readonly limitBytes?: number;
  /**
   * Most bytes of one buffer: matrices that are larger are split by rows, and the KV cache by heads. [default what the device
   * binds: 128 MiB at least, 2 to 4 GiB on most desktops]
   */
  readonly largestBufferBytes?: number;
  /** How float weights are kept; quantised ones stay as they are. [default "f32"] */
  readonly floats?: FloatFormat;
  /** Names of WGSL extensions that the host has, `navigator.gpu.wgslLanguageFeatures`. [default none] */
  readonly languageFeatures?: ReadonlySet<string>;
  /**
   * Threads of a workgroup, 64 or 256. [default 256 from a width of 512 on: an H200 then takes a prompt 2 to 3 times as fast
   * and decodes 1.2 times as fast, docs/webgpu.md; below, a workgroup of 256 has too little to do]
   */
  readonly threads?: 64 | 256;
  /**
   * Whether tokens made on the device run all core iterations in one dispatch, where the model is small enough for one
   * workgroup. [default: what is faster, timed when the first are asked for]
   */
  readonly fusedCore?: boolean;
}

/** Widths from which workgroups have 256 threads. */
const WIDE = 512;

/**
 * Makes the backend factory for a device. The device stays the host's: it is never destroyed here.
 * @throws {FathomError} (when called back) unavailable, out_of_memory, or what `load` finds wrong with the checkpoint
 * @example
 * const model = await loadModel(folder, createWebGpuBackend(device));
 */
export function createWebGpuBackend(
  gpu: GPUDevice,
  options: WebGpuOptions = {},
): (config: ModelConfig, load: (sink: WeightSink) => Promise<void>) => Promise<WebGpuBackend> {
  return async (config, load) => {
    const device = new Device(gpu, options.limitBytes ?? Infinity, options.largestBufferBytes);
    const { sink, finish } = loadWeights(config, device, options.floats ?? "f32");
    await load(sink);
    const threads = options.threads ?? (config.width < WIDE ? 64 : 256);
    const parts = finish();
    const layouts = { scratch: scratchLayout(config), states: stateLayout(config), cache: cacheLayout(config, device.largestBuffer) };
    const bytes =
      options.fusedCore !== false && canFuseCore(config, parts, threads) && layouts.cache.parts === 1 ? coreBytes(parts) : undefined;
    const isFused = bytes !== undefined && device.hasRoom(bytes);
    const model = isFused ? joinCore(device, parts, bytes) : parts;
    const { languageFeatures = new Set() } = options;
    const kernels = await compileKernels(gpu, config, model, { threads, cacheHeads: layouts.cache.heads, isFused, languageFeatures });
    const programs = buildPrograms(device, config, model, kernels, layouts);
    return new WebGpuBackend(config, device, model, programs, layouts, options.fusedCore === undefined);
  };
}
