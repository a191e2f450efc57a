/**
 * What is planned before any weight goes to a GPU, on a null device: buffers no larger than it binds, as few and as even as
 * can be, and a refusal by name of what cannot be split small enough or is more than is allowed in all.
 */
/// <reference types="@webgpu/types" />
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MatrixLayout, WeightSink } from "../../engine/model/checkpoint.ts";
import { parseConfig, type ModelConfig } from "../../engine/model/config.ts";
import { cacheLayout, entryRanges } from "../../kernels/cache-layout.ts";
import { createWebGpuBackend } from "../../kernels/create.ts";
import { Device } from "../../kernels/device.ts";
import { allocateMatrix } from "../../kernels/matrix.ts";
import { nodeDevice } from "../../kernels/node.ts";
import { headRanges, productRanges } from "../../kernels/ranges.ts";
import type { FoundDevice } from "../../kernels/probe.ts";
import { SMALL } from "../wasm/models.ts";

const MIB = 1 << 20;
const HUGINN: ModelConfig = parseConfig({
  n_embd: 5280,
  num_attention_heads: 55,
  intermediate_size: 17920,
  n_layers_in_prelude: 2,
  n_layers_in_recurrent_block: 4,
  n_layers_in_coda: 2,
  vocab_size: 65536,
  block_size: 4096,
});

let found: FoundDevice;
beforeAll(async () => {
  const probe = await nodeDevice(["backend=null"]);
  if ("missing" in probe) throw new Error(probe.missing);
  found = probe.found;
});
afterAll(() => found.close());

describe("a matrix on a device that binds 128 MiB", () => {
  const split = (layout: MatrixLayout, limit = 128 * MIB): number[] => {
    const device = new Device(found.device, Infinity, limit);
    const { parts } = allocateMatrix(device, "a matrix", layout, "f32");
    parts.forEach(({ buffer }) => device.destroy(buffer));
    parts.forEach(({ from, to }, i) =>
      expect([from, from % 16, to]).toEqual([parts[i - 1]?.to ?? 0, 0, parts[i + 1]?.from ?? layout.rows]),
    );
    return parts.map(({ buffer }) => buffer.size);
  };

  it("is whole where it fits", () => {
    expect(split({ format: "q4", rows: 35840, columns: 5280, group: 32 })).toEqual([35840 * 165 * 20]);
  });

  it("lies in as few buffers as can be, alike in size", () => {
    expect(split({ format: "q4", rows: 65536, columns: 5280, group: 32 })).toEqual([108134400, 108134400]);
    const sizes = split({ format: "f32", rows: 1000, columns: 64 }, 60_000);
    expect(sizes).toHaveLength(5);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(60_000);
  });

  it("is refused by name where 16 of its rows do not fit", () => {
    expect(() => split({ format: "f32", rows: 64, columns: 64 }, 4000)).toThrow(
      "a matrix: 16 of its rows take 4096 bytes in f32, and a matrix is split no finer; this GPU device allows buffers of 4000.",
    );
  });
});

describe("the cache", () => {
  it("is whole where a sequence of 4096 positions fits, else cut by heads", () => {
    expect(cacheLayout(HUGINN, 2 ** 31)).toEqual({ parts: 1, heads: 55, entryElements: 2 * 5280 });
    expect(cacheLayout(HUGINN, 128 * MIB)).toEqual({ parts: 11, heads: 5, entryElements: 2 * 480 });
  });

  it("is cut for no more positions than the model has", () => {
    expect(cacheLayout({ ...HUGINN, contextLength: 300 }, 128 * MIB).parts).toBe(1);
  });

  it("is cut between tiles only", () => {
    const odd: ModelConfig = { ...SMALL, heads: 4, kvHeads: 4, headDim: 20 };
    expect(cacheLayout(odd, 1024)).toEqual({ parts: 1, heads: 4, entryElements: 160 });
    const even: ModelConfig = { ...SMALL, heads: 4, kvHeads: 4, headDim: 24 };
    expect(cacheLayout(even, 1024)).toEqual({ parts: 2, heads: 2, entryElements: 96 });
  });

  it("has every head and every output once, where heads share keys and the last part has fewer", () => {
    const config: ModelConfig = { ...SMALL, heads: 10, kvHeads: 5, headDim: 16 };
    const layout = { parts: 3, heads: 2, entryElements: 64 };
    expect(headRanges(config, layout).map(({ from, to, keysFrom }) => [from, to, keysFrom])).toEqual([
      [0, 4, 0],
      [4, 8, 2],
      [8, 10, 4],
    ]);
    const part = (from: number, to: number) => ({ buffer: {} as GPUBuffer, at: 0, from, to });
    const matrix = { type: "f32", rows: 320, columns: 64, group: 0, tileWords: 1024, parts: [part(0, 176), part(176, 320)] } as const;
    expect(
      productRanges(matrix, "qkv", config, layout).map(({ from, to, cachePart, firstKey }) => [from, to, cachePart, firstKey]),
    ).toEqual(
      [
        [0, 176, 0, 0],
        [176, 192, 0, 0],
        [192, 224, 1, 32],
        [224, 240, 2, 64],
        [240, 272, 0, 0],
        [272, 304, 1, 32],
        [304, 320, 2, 64],
      ].sort(([a], [b]) => a! - b!),
    );
    expect(productRanges(matrix, "matmul", config, layout).map(({ from, to }) => [from, to])).toEqual([
      [0, 176],
      [176, 320],
    ]);
    expect(
      entryRanges(layout, config, 512, (p) => ({ label: String(p) }) as GPUBuffer).map(({ buffer, offset, bytes }) => [
        Number(buffer.label),
        offset,
        bytes,
      ]),
    ).toEqual([
      [0, 512, 128],
      [1, 512, 128],
      [2, 512, 64],
      [0, 640, 128],
      [1, 640, 128],
      [2, 640, 64],
    ]);
  });
});

describe("a model that the device cannot take", () => {
  const never = (): never => {
    throw new Error("a weight was taken");
  };
  const refused = (load: (sink: WeightSink) => void, options: object) =>
    createWebGpuBackend(found.device, options)(HUGINN, (sink) => Promise.resolve(load(sink)));

  it("is refused before anything is read, where half a byte a weight is too much", async () => {
    await expect(refused(never, { limitBytes: 1e9 })).rejects.toMatchObject({
      code: "out_of_memory",
      message: expect.stringMatching(
        /^\d+ weights, of half a byte each; fathom convert --quant q4 .* bytes are needed, but 0 of the 1000000000 bytes/,
      ),
    });
  });

  it("is refused by a file's header, before any of its weights", async () => {
    const layout = { format: "f32", rows: 65536, columns: 5280 } as const;
    const load = (sink: WeightSink): void => {
      sink.expect!(
        new Map([
          ["model.embed", layout],
          ["lm_head", layout],
        ]),
      );
      never();
    };
    await expect(refused(load, { limitBytes: 2.5e9 })).rejects.toMatchObject({
      code: "out_of_memory",
      message: expect.stringContaining(
        `2 matrices; fathom convert --quant q4 makes them smallest: ${2 * 65536 * 5280 * 4} bytes are needed`,
      ),
    });
    await expect(refused(load, { largestBufferBytes: 300_000 })).rejects.toMatchObject({ code: "out_of_memory" });
  });
});
