/**
 * Several threads over one memory give the bits of one, whatever the format and the number of rows.
 */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import type { ModelConfig } from "../../engine/model/config.ts";
import { Arena } from "../../wasm/arena.ts";
import { bindKernels, type Kernels } from "../../wasm/kernels.ts";
import { createNodeWasmBackend, defaultThreads, readBuild } from "../../wasm/node.ts";
import { writeRecord } from "../../wasm/records.ts";
import { overSharedMemory } from "../../wasm/shared-module.ts";
import { shareTiles } from "../../wasm/threads.ts";
import { expectSame } from "./compare.ts";
import { randomWeights, SIBLINGS, SMALL } from "./models.ts";

/** Wide enough that its products are shared. */
const WIDE: ModelConfig = { ...SMALL, width: 256, headDim: 64, mlpWidth: 704, codaLayers: 1, coreLayers: 1 };

async function logits(config: ModelConfig, format: "f32" | "q8" | "q4", threads: number): Promise<Float32Array[]> {
  const backend = await createNodeWasmBackend(config, randomWeights(config, format), { threads });
  const sequence = backend.openSequence({ capacity: 12, maxIterations: 4, cache: parseCacheStrategy("full") });
  const out: Float32Array[] = [];
  for (const tokens of [[5, 1, 60, 2, 2, 17, 33], [9], [44]]) {
    const rows = backend.prelude(tokens.map((token) => ({ sequence, token })));
    for (let t = 0; t < 4; t++) backend.iterate(rows);
    out.push(...backend.readout(rows, rows));
    backend.release(rows);
  }
  return out;
}

describe("threads", () => {
  it.each(["f32", "q8", "q4"] as const)("give the same bits in %s", async (format) => {
    const one = await logits(WIDE, format, 1);
    for (const threads of [2, 3]) (await logits(WIDE, format, threads)).forEach((actual, i) => expectSame(actual, one[i]!, `row ${i}`));
  });

  it("share what is large enough, and leave the rest alone", async () => {
    const [, ouro] = SIBLINGS.at(-1)!;
    const one = await logits(ouro, "q8", 1);
    (await logits(ouro, "q8", 2)).forEach((actual, i) => expectSame(actual, one[i]!, `row ${i}`));
  });

  it.each([2, 3, 31, 32, 64])("of %i each product is cut into chunks that hold every tile once", async (threads) => {
    const arena = new Arena(1 << 20, true);
    const module = new WebAssembly.Module(overSharedMemory(await readBuild("simd")));
    const kernels = bindKernels(module, arena);
    const done: number[] = [];
    const count: Kernels["multiply"]["f32"] = (_, first, tiles, __, ___, y) => {
      for (let tile = first; tile < first + tiles; tile++) done.push(tile);
      expect(done.length, "tiles of a product").toBeLessThanOrEqual(1000); // or chunks would be taken forever
      expect(y, "where the chunk's outputs go").toBe(4096 + 64 * (first - 5));
    };
    const host = { threads, maySleep: true, start: async () => undefined }; // whose others never take a chunk
    const shared = await shareTiles(host, module, { ...kernels, multiply: { f32: count, q8: count, q4: count } }, arena, "pages");
    const record = arena.allocate("tables", kernels.records.Matrix.bytes, "a matrix").address;
    writeRecord(arena, kernels.records.Matrix, record, {
      weights: 0,
      tileBytes: 1 << 17,
      columns: 0,
      group: 0,
      form: 0,
      xStride: 0,
      yStride: 0,
    });
    for (const tiles of [1, threads, threads + 1, 100, 1000]) {
      done.length = 0;
      shared.multiply.q8(record, 5, tiles, 0, 1, 4096);
      expect(done, `${tiles} tiles`).toEqual(Array.from({ length: tiles }, (_, i) => 5 + i));
    }
  });

  it("are one for a small model, and more for a large one where the machine has cores", () => {
    expect(defaultThreads(SMALL)).toBe(1);
    const large = defaultThreads({ ...SMALL, width: 4096, heads: 32, headDim: 128, kvHeads: 32, mlpWidth: 11008 });
    expect(large).toBeGreaterThanOrEqual(1);
    expect(large).toBeLessThanOrEqual(4);
  });

  it("are refused where they cannot be", async () => {
    for (const threads of [0, 1.5, 65, NaN])
      await expect(createNodeWasmBackend(SMALL, randomWeights(SMALL), { threads })).rejects.toThrow(/threads must be a whole number/);
  });
});

describe("a build over shared memory", () => {
  it.each(["relaxed", "simd"])("is %s.wasm but for the memory that it takes", async (build) => {
    const bytes = await readFile(new URL(`../../wasm/build/${build}.wasm`, import.meta.url));
    const shared = overSharedMemory(bytes);
    expect(WebAssembly.validate(shared)).toBe(true);
    const [one, other] = [new WebAssembly.Module(bytes), new WebAssembly.Module(shared)];
    expect(WebAssembly.Module.exports(other)).toEqual(WebAssembly.Module.exports(one));
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 65535, shared: true });
    expect(() => new WebAssembly.Instance(other, { env: { memory } })).not.toThrow();
    expect(() => new WebAssembly.Instance(one, { env: { memory } })).toThrow(WebAssembly.LinkError);
  });

  it("is refused of anything else", () => {
    expect(() => overSharedMemory(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))).toThrow(RangeError);
  });
});
