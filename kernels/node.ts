/**
 * WebGPU on Node: Dawn from the optional package `webgpu`. Answers with a device, or says why there is none; it never
 * throws.
 */
/// <reference types="@webgpu/types" />

export interface FoundDevice {
  readonly device: GPUDevice;
  /** What the adapter calls itself. */
  readonly description: string;
  readonly languageFeatures: ReadonlySet<string>;
  /** Lets the process end; work in flight is awaited. */
  close(): Promise<void>;
}

export type DeviceProbe = { readonly found: FoundDevice } | { readonly missing: string };

/** The limits that matter here, taken as high as the adapter has them. */
const LIMITS = ["maxStorageBufferBindingSize", "maxBufferSize"] as const;

/**
 * @param flags of Dawn, e.g. `backend=vulkan` [default none]
 * @example
 * const probe = await nodeDevice();
 * if ("missing" in probe) console.log(`No WebGPU here, because ${probe.missing}.`);
 */
export async function nodeDevice(flags: readonly string[] = []): Promise<DeviceProbe> {
  let webgpu: typeof import("webgpu");
  try {
    webgpu = await import("webgpu");
  } catch (error) {
    return { missing: `the package webgpu cannot be loaded (${firstLine(error)})` };
  }
  try {
    const gpu = webgpu.create([...flags]);
    const adapter = await gpu.requestAdapter();
    if (adapter === null) return { missing: "the package webgpu finds no adapter (no GPU, or no driver for it)" };
    return { found: await openDevice(gpu, adapter) };
  } catch (error) {
    return { missing: `the GPU device cannot be opened (${firstLine(error)})` };
  }
}

/** Dawn's instance must outlive its devices; nothing but this keeps it. */
const instances = new Map<GPUDevice, GPU>();

/** A device of an adapter, with the limits that large models need. */
export async function openDevice(gpu: GPU, adapter: GPUAdapter): Promise<FoundDevice> {
  const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
  const device = await adapter.requestDevice({ requiredLimits });
  instances.set(device, gpu);
  return {
    device,
    description: adapter.info.description || adapter.info.vendor || "unnamed adapter",
    languageFeatures: new Set(gpu.wgslLanguageFeatures),
    async close() {
      await device.queue.onSubmittedWorkDone().catch(() => undefined);
      device.destroy();
      instances.delete(device);
    },
  };
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
}
