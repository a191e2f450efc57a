/**
 * WebGPU on Node: Dawn from the package `webgpu`, which whoever wants it installs: it has 130 MB.
 */
/// <reference types="@webgpu/types" />
import { probeDevice, reasonOf, type DeviceProbe } from "./probe.ts";

/** Dawn's instances must outlive their devices; nothing but this keeps them. */
const instances = new Set<GPU>();

/**
 * A device, or why there is none. Never throws.
 * @param flags of Dawn, e.g. `backend=vulkan` [default none]
 * @example
 * const probe = await nodeDevice();
 * if ("missing" in probe) console.log(`No WebGPU here, because ${probe.missing}.`);
 */
export async function nodeDevice(flags: readonly string[] = []): Promise<DeviceProbe> {
  let gpu: GPU;
  try {
    const { create } = await import("webgpu");
    gpu = create([...flags]);
  } catch (error) {
    const isAbsent = (error as { code?: string }).code === "ERR_MODULE_NOT_FOUND";
    return {
      missing: isAbsent
        ? "the package webgpu is not installed (npm install webgpu adds it: Dawn, 130 MB)"
        : `the package webgpu cannot be loaded: ${reasonOf(error)}`,
    };
  }
  instances.add(gpu);
  const probe = await probeDevice(gpu, () => instances.delete(gpu));
  if ("missing" in probe) instances.delete(gpu);
  return probe;
}
