/**
 * Hosts without a GPU: a reason instead of an exception, and the fallback in its place.
 */
/// <reference types="@webgpu/types" />
import { describe, expect, it } from "vitest";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { browserDevice } from "../../kernels/browser.ts";
import { gpuFirst, probeDevice } from "../../kernels/probe.ts";
import { randomWeights, SMALL } from "../wasm/models.ts";

function host(requestAdapter: () => Promise<unknown>): GPU {
  return { requestAdapter, wgslLanguageFeatures: new Set() } as unknown as GPU;
}

describe("a probe", () => {
  it("says what is missing", async () => {
    expect(await browserDevice()).toEqual({ missing: "this host has no navigator.gpu" });
    expect(await probeDevice(host(async () => null))).toEqual({ missing: expect.stringContaining("no adapter was found") });
    const broken = host(() => Promise.reject(new Error("no luck\nat all")));
    expect(await probeDevice(broken)).toEqual({ missing: "the device cannot be opened: no luck" });
  });

  const adapters: [names: object, isSoftware: boolean][] = [
    [{ vendor: "google", architecture: "swiftshader" }, true],
    [{ vendor: "google", description: "SwiftShader driver 5.0.0" }, true],
    [{ vendor: "mesa", device: "llvmpipe (LLVM 15.0.6, 256 bits)" }, true],
    [{ description: "Microsoft Basic Render Driver" }, true],
    [{ vendor: "apple", device: "Apple Software Renderer" }, true],
    [{ isFallbackAdapter: true }, true],
    [{ vendor: "nvidia", architecture: "hopper", device: "NVIDIA H200" }, false],
    [{ vendor: "intel", architecture: "xe-2lpg" }, false],
    [{ vendor: "amd", description: "Radeon RX Warped Edition" }, false],
    [{}, false],
  ];
  const found = async (names: object) => {
    const info = { vendor: "", architecture: "", device: "", description: "", isFallbackAdapter: false, ...names };
    let isClosed = false;
    const device = { queue: { onSubmittedWorkDone: async () => undefined }, destroy: () => (isClosed = true) };
    const probe = await probeDevice(host(async () => ({ info, limits: {}, requestDevice: async () => device })));
    return { probe, isClosed: () => isClosed };
  };
  it.each(adapters)("tells of %j whether a CPU plays it: %s", async (names, isSoftware) => {
    expect((await found(names)).probe).toMatchObject({ found: { isSoftware } });
  });

  it("that finds a GPU which a CPU plays leaves the model to the fallback, unless it is allowed, and says so", async () => {
    const log: string[] = [];
    const { probe, isClosed } = await found({ architecture: "swiftshader", description: "SwiftShader driver 5.0.0" });
    const factory = gpuFirst(probe, createReferenceBackend, (line) => log.push(line), { allowedBy: "--backend webgpu" });
    expect((await factory(SMALL, randomWeights(SMALL))).name).toBe("reference");
    expect(log).toEqual([
      "WebGPU on SwiftShader driver 5.0.0 is the CPU's own work and slower than Wasm, which runs instead; --backend webgpu takes it all the same.",
    ]);
    await expect.poll(isClosed).toBe(true);
    log.length = 0;
    expect(gpuFirst(probe, createReferenceBackend, (line) => log.push(line), { allowSoftware: true })).not.toBe(createReferenceBackend);
    expect(log).toEqual(["WebGPU on SwiftShader driver 5.0.0."]);
  });

  it("leaves the model to the fallback, and says so", async () => {
    const log: string[] = [];
    const factory = gpuFirst({ missing: "there is none" }, createReferenceBackend, (line) => log.push(line));
    expect((await factory(SMALL, randomWeights(SMALL))).name).toBe("reference");
    expect(log).toEqual(["No WebGPU here, because there is none."]);
  });
});
