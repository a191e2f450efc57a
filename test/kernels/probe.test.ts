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

  it("leaves the model to the fallback, and says so", async () => {
    const log: string[] = [];
    const factory = gpuFirst({ missing: "there is none" }, createReferenceBackend, (line) => log.push(line));
    expect((await factory(SMALL, randomWeights(SMALL))).name).toBe("reference");
    expect(log).toEqual(["No WebGPU here, because there is none."]);
  });
});
