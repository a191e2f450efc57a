/**
 * The WebGPU core's public surface. Hosts bring the device: kernels/node.ts and kernels/browser.ts find one.
 */
export type { WebGpuBackend } from "./backend.ts";
export { createWebGpuBackend, type WebGpuOptions } from "./create.ts";
export { FailoverBackend } from "../engine/failover/backend.ts";
export { withFallback } from "../engine/failover/fallback.ts";
export { gpuFirst, probeDevice, type DeviceProbe, type FoundDevice } from "./probe.ts";
