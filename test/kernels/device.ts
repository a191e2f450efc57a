/**
 * The GPU device that tests run on. Without one they are skipped, and say so; in CI that is a failure.
 */
/// <reference types="@webgpu/types" />
import { afterAll, beforeAll, describe, it } from "vitest";
import type { WebGpuBackend } from "../../kernels/backend.ts";
import { createWebGpuBackend, type WebGpuOptions } from "../../kernels/create.ts";
import { nodeDevice } from "../../kernels/node.ts";
import type { FoundDevice } from "../../kernels/probe.ts";
import type { WeightSink } from "../../engine/model/checkpoint.ts";
import type { ModelConfig } from "../../engine/model/config.ts";
import { DAWN_FLAGS } from "./software.ts";

const probe = await nodeDevice(DAWN_FLAGS);
const missing = process.env["FATHOM_NO_GPU"] ?? ("missing" in probe ? probe.missing : undefined);

/** A group of tests on one device. */
export function describeOnDevice(name: string, tests: (host: TestDevice) => void): void {
  if (missing === undefined) {
    describe(name, () => tests(new TestDevice()));
    return;
  }
  describe(name, () => {
    if (process.env["CI"] === "true")
      it("has a GPU device", () => {
        throw new Error(`No GPU device, because ${missing}.`);
      });
    else it.skip(`needs a GPU device: ${missing}; see test/kernels/swiftshader.ts`, () => undefined);
  });
}

export class TestDevice {
  #found: FoundDevice | undefined;

  constructor() {
    beforeAll(async () => {
      const fresh = await nodeDevice(DAWN_FLAGS);
      this.#found = "found" in fresh ? fresh.found : undefined;
    });
    afterAll(() => this.#found?.close());
  }

  get gpu(): GPUDevice {
    return this.#found!.device;
  }

  /** A backend factory on this device. */
  backend(options: WebGpuOptions = {}): (config: ModelConfig, load: (sink: WeightSink) => Promise<void>) => Promise<WebGpuBackend> {
    return createWebGpuBackend(this.gpu, { languageFeatures: this.#found!.languageFeatures, ...options });
  }
}
