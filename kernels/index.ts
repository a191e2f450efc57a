/**
 * The WebGPU core's public surface. Hosts bring the device: kernels/node.ts and kernels/browser.ts find one.
 */
export { createWebGpuBackend, type WebGpuBackend, type WebGpuOptions } from "./backend.ts";
export type { Chain, ChainOptions, DeviceToken } from "./decode.ts";
export { FailoverBackend, withFallback } from "./failover.ts";
export { generateOnGpu, runsOnDevice, type ChunkOptions } from "./generate.ts";
export { gpuFirst, probeDevice, type DeviceProbe, type FoundDevice } from "./probe.ts";
