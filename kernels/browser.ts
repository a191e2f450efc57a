/**
 * WebGPU in browsers and Deno: the host's own `navigator.gpu`.
 */
/// <reference types="@webgpu/types" />
import { probeDevice, type DeviceProbe } from "./probe.ts";

/**
 * A device, or why there is none. Never throws.
 * @example
 * const model = await loadModel(folder, gpuFirst(await browserDevice(), createWasm, console.warn));
 */
export async function browserDevice(): Promise<DeviceProbe> {
  const { navigator, isSecureContext } = globalThis as unknown as { navigator?: { gpu?: GPU }; isSecureContext?: boolean };
  if (navigator?.gpu !== undefined) return probeDevice(navigator.gpu);
  if (isSecureContext === false) return { missing: "the page is not a secure context: WebGPU needs https or localhost" };
  return { missing: "this host has no navigator.gpu" };
}
