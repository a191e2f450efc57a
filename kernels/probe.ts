/**
 * Finding a GPU device without ever throwing: what a host's probe answers, and a backend factory that takes the GPU
 * where there is one and the fallback where there is none.
 */
/// <reference types="@webgpu/types" />
import type { Backend } from "../engine/port/backend.ts";
import type { BackendFactory } from "../engine/port/model.ts";
import { createWebGpuBackend, type WebGpuOptions } from "./create.ts";
import { withFallback } from "../engine/failover/fallback.ts";
import type { Watchdog } from "../engine/failover/watchdog.ts";

/** A GPU device and what is known of it. */
export interface FoundDevice {
  readonly device: GPUDevice;
  /** What the adapter calls itself: device and driver, where it names them. */
  readonly description: string;
  /** Whether the device is a CPU that plays a GPU (SwiftShader, llvmpipe), and slower than the Wasm core on the same CPU. */
  readonly isSoftware: boolean;
  /** WGSL extensions that the host has. */
  readonly languageFeatures: ReadonlySet<string>;
  /** Awaits work in flight and destroys the device; on Node the process can end then. */
  close(): Promise<void>;
}

/** A device, or why there is none. */
export type DeviceProbe = { readonly found: FoundDevice } | { readonly missing: string };

/** The limits that matter here, taken as high as the adapter has them. */
const LIMITS = ["maxStorageBufferBindingSize", "maxBufferSize"] as const;

/**
 * A device of a host's GPU object, or why there is none, as the rest of the sentence "No WebGPU here, because ...".
 * @param closed called when the device has been closed
 */
export async function probeDevice(gpu: GPU, closed: () => void = () => undefined): Promise<DeviceProbe> {
  try {
    const adapter = await gpu.requestAdapter();
    if (adapter === null) return { missing: "no adapter was found: there is no GPU, or no driver for it" };
    const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
    const device = await adapter.requestDevice({ requiredLimits });
    const close = async (): Promise<void> => {
      await device.queue.onSubmittedWorkDone().catch(() => undefined);
      device.destroy();
      closed();
    };
    const { info } = adapter;
    const description = [info.device, info.description].filter((name) => name !== "").join(", ") || info.vendor || "an unnamed adapter";
    return { found: { device, description, isSoftware: isSoftware(adapter), languageFeatures: new Set(gpu.wgslLanguageFeatures), close } };
  } catch (error) {
    return { missing: `the device cannot be opened: ${reasonOf(error)}` };
  }
}

/** Renderers that run on the CPU, as they name themselves: Chromium's, Mesa's three, Microsoft's, Apple's. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render|\bwarp\b/i;

function isSoftware({ info, ...adapter }: GPUAdapter): boolean {
  const names = [info.vendor, info.architecture, info.device, info.description];
  const { isFallbackAdapter } = adapter as { isFallbackAdapter?: boolean }; // where older browsers say it
  return info.isFallbackAdapter || isFallbackAdapter === true || names.some((name) => SOFTWARE.test(name));
}

/** The first line of an error. */
export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
}

/** A call of the device that takes longer counts as hung: far more than the longest prompt needs, on software devices too. */
const SILENCE_MS = 60_000;

/** Node would wait for a timer that is left; pages number theirs. */
interface Timers {
  readonly setTimeout: (callback: () => void, ms: number) => unknown;
  readonly clearTimeout: (timer: unknown) => void;
}

const WATCHDOG: Watchdog = {
  limitMs: SILENCE_MS,
  after(ms, callback) {
    const { setTimeout, clearTimeout } = globalThis as unknown as Timers;
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

export interface GpuFirstOptions extends WebGpuOptions {
  /** Take a device that a CPU plays, too. [default false: the fallback runs] */
  readonly allowSoftware?: boolean;
  /** How whoever reads the log allows it. [default "allowSoftware"] */
  readonly allowedBy?: string;
}

/**
 * A backend factory for whatever the probe found: the GPU where there is one, the fallback where there is none or where a
 * CPU plays one, which took 23 s to load and 19 s to answer in a page where Wasm took 1.6 and 0.6. The fallback should keep keys and values in f32, as the GPU does: then
 * a stream that it takes over goes on with the tokens that the GPU would have given.
 * @param log gets a line that says which backend runs and why, and one when the GPU goes away
 * @example
 * const wasm: BackendFactory = (config, load) => createNodeWasmBackend(config, load, { kv: "f32" });
 * const model = await loadModel(folder, gpuFirst(await nodeDevice(), wasm, console.error));
 */
export function gpuFirst(
  probe: DeviceProbe,
  fallback: BackendFactory,
  log: (line: string) => void,
  { allowSoftware = false, allowedBy = "allowSoftware", ...options }: GpuFirstOptions = {},
): BackendFactory {
  if ("missing" in probe) {
    log(`No WebGPU here, because ${probe.missing}.`);
    return fallback;
  }
  const { device, description, isSoftware, languageFeatures, close } = probe.found;
  if (isSoftware && !allowSoftware) {
    log(`WebGPU on ${description} is the CPU's own work and slower than Wasm, which runs instead; ${allowedBy} takes it all the same.`);
    void close();
    return fallback;
  }
  log(`WebGPU on ${description}.`);
  return withFallback<Backend>(createWebGpuBackend(device, { languageFeatures, ...options }), fallback, log, WATCHDOG);
}
