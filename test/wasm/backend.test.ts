/**
 * The Wasm backend against the reference backend: every block layout and format, mixed-depth rows, the ledger, errors.
 */
import { describe, expect, it } from "vitest";
import type { Backend, Inspectable, Row, Sequence } from "../../engine/port/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import type { ModelConfig } from "../../engine/model/config.ts";
import type { QuantFormat } from "../../engine/model/quantised.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import type { WasmBackend } from "../../wasm/backend.ts";
import { createWasmBackend, type WasmBackendOptions } from "../../wasm/create.ts";
import { expectClose, expectSame } from "./compare.ts";
import { hostPaths } from "./host.ts";
import { randomFloats, randomWeights, SIBLINGS, SMALL } from "./models.ts";

const paths = await hostPaths();
const [best] = paths as [(typeof paths)[number]];

type Format = "f32" | QuantFormat;

async function wasm(config: ModelConfig, format: Format = "f32", options: Partial<WasmBackendOptions> = {}): Promise<WasmBackend> {
  return createWasmBackend({ module: best.module, path: best.path, config, load: randomWeights(config, format), kv: "f32", ...options });
}

function open(backend: Backend, capacity = 24, maxIterations = 4, cache = "full"): Sequence {
  return backend.openSequence({ capacity, maxIterations, cache: parseCacheStrategy(cache) });
}

async function begin(backend: Backend, sequence: Sequence, tokens: readonly number[]): Promise<Row[]> {
  const start = sequence.length;
  const { width, recurrence } = backend.config;
  const given = recurrence.injection === "adapter"; // else a state is refused
  const stateAt = (i: number): Float32Array | undefined => (given && start + i !== 2 ? randomFloats(width, 100 + start + i) : undefined);
  return backend.prelude(tokens.map((token, i) => ({ sequence, token, state: stateAt(i) })));
}

/** Logits of a prompt of 9 after 3 iterations, then of three tokens with 1, 4 and 2 iterations; and what lies in between. */
async function story(backend: Backend, cache = "full"): Promise<Float32Array[]> {
  const sequence = open(backend, 12, 4, cache);
  const out: Float32Array[] = [];
  const prompt = await begin(backend, sequence, [5, 1, 60, 2, 2, 17, 33, 40, 8]);
  for (let t = 0; t < 3; t++) await backend.iterate(prompt);
  out.push(...(await backend.readout(prompt, prompt)), await backend.latent(prompt[4]!, "normalised"));
  const [change] = await backend.measure(prompt.slice(3, 4));
  out.push(Float32Array.of(change!.distance, change!.norm, change!.previousNorm, change!.dot));
  backend.release(prompt);
  for (const [token, iterations] of [
    [9, 1],
    [44, 4],
    [3, 2],
  ] as const) {
    const rows = await begin(backend, sequence, [token]);
    for (let t = 0; t < iterations; t++) await backend.iterate(rows);
    out.push(...(await backend.readout(rows, rows)), await backend.latent(rows[0]!, "raw"));
    backend.release(rows);
  }
  backend.closeSequence(sequence);
  return out;
}

const LAYOUTS: readonly [name: string, config: ModelConfig][] = [
  ["Huginn's", SMALL],
  ...SIBLINGS,
  ["no prelude, no coda", { ...SMALL, preludeLayers: 0, codaLayers: 0 }],
  ["one core layer, heads of 32", { ...SMALL, coreLayers: 1, heads: 2, kvHeads: 2, headDim: 32 }],
];

describe.each(LAYOUTS)("the block layout %s", (_, config) => {
  // an activation at the edge between two int8 values falls either way; without norms on the inputs it weighs more
  const rounding = config.block.norms.includes("input") ? 2e-2 : 5e-2;

  it.each(["f32", "q8", "q4"] as const)("gives the reference's logits in %s", async (format) => {
    const reference = await story(await createReferenceBackend(config, randomWeights(config, format)));
    const first = await story(await wasm(config, format));
    first.forEach((actual, i) => expectClose(actual, reference[i]!, format === "f32" ? 2e-5 : rounding, `result ${i}`));
    for (const { module, path, name } of paths)
      (await story(await wasm(config, format, { module, path }))).forEach((actual, i) =>
        expectSame(actual, first[i]!, `${name}, result ${i}`),
      );
  });

  it("keeps int8 keys and values by default where the weights are quantised, f32 where not", async () => {
    for (const [format, bytes] of [
      ["f32", 4],
      ["q4", 1],
    ] as const) {
      const backend = await createWasmBackend({ module: best.module, config, load: randomWeights(config, format) });
      const { capacity, maxIterations, cache } = open(backend).options;
      const slots = config.preludeLayers + config.coreLayers * maxIterations + config.codaLayers;
      const share =
        backend.sequenceBytes({ capacity, maxIterations, cache, rows: 1 }) / (slots * capacity * 2 * config.kvHeads * config.headDim);
      expect(share).toBeGreaterThanOrEqual(bytes);
      expect(share).toBeLessThan(bytes * 1.8);
    }
  });

  it("comes close with an int8 cache", async () => {
    const reference = await story(await createReferenceBackend(config, randomWeights(config)));
    (await story(await wasm(config, "f32", { kv: "int8" }))).forEach((actual, i) =>
      expectClose(actual, reference[i]!, 2.5 * rounding, `result ${i}`),
    );
  });
});

describe("cache strategies", () => {
  it.each([
    "full",
    "skip",
    "latest-m4",
    "always-last-m4",
    "compress-s2",
    "latest-m4-compress-s4",
    "latest-m4-compress-s3",
    "latest-m4-compress-r4",
    "latest-m4-compress-anchor",
  ])("%s reads what the reference reads", async (cache) => {
    const reference = await story(await createReferenceBackend(SMALL, randomWeights(SMALL)), cache);
    (await story(await wasm(SMALL), cache)).forEach((actual, i) => expectClose(actual, reference[i]!, 2e-5, `result ${i}`));
  });
});

describe("attention weights", () => {
  it.each(["full", "latest-m4", "latest-m4-compress-s4"])("are the reference's under %s, rows at all depths", async (cache) => {
    const weights = async (backend: Backend & Inspectable): Promise<Float32Array[]> => {
      const sequence = backend.openSequence({ capacity: 8, maxIterations: 3, cache: parseCacheStrategy(cache), attention: true });
      const rows = await begin(backend, sequence, [4, 9, 1, 30, 22, 6]);
      await backend.iterate(rows);
      await backend.iterate(rows.slice(0, 4));
      await backend.iterate(rows.slice(3));
      await backend.readout(rows, rows);
      return backend.attention(rows);
    };
    const reference = await weights(await createReferenceBackend(SMALL, randomWeights(SMALL)));
    for (const kv of ["f32", "int8"] as const)
      (await weights(await wasm(SMALL, "f32", { kv }))).forEach((actual, i) =>
        expectClose(actual, reference[i]!, kv === "f32" ? 2e-5 : 3e-2, `${kv} row ${i}`),
      );
  });
});

describe("rows", () => {
  it.each(["f32", "q8", "q4"] as const)("of %s models do not depend on their company", async (format) => {
    const together = await wasm(SMALL, format);
    const alone = await wasm(SMALL, format);
    const prompts = [
      [1, 2, 3, 4, 5, 6, 7],
      [9, 8, 7],
      [30, 31, 32, 33],
    ];
    const sequences = prompts.map(() => open(together));
    const rows: Row[][] = [];
    // one call for all preludes, then a call a turn with rows of all depths
    const all = await together.prelude(prompts.flatMap((tokens, s) => tokens.map((token) => ({ sequence: sequences[s]!, token }))));
    let at = 0;
    for (const tokens of prompts) rows.push(all.slice(at, (at += tokens.length)));
    for (const turn of [[0], [0, 1], [0, 1, 2], [1, 2]]) together.iterate(turn.flatMap((s) => rows[s]!));
    const logits = together.readout(all, all);
    at = 0;
    for (const [s, tokens] of prompts.entries()) {
      const sequence = open(alone);
      const own = alone.prelude(tokens.map((token) => ({ sequence, token })));
      for (let t = 0; t < [3, 3, 2][s]!; t++) alone.iterate(own);
      alone.readout(own, own).forEach((expected, i) => expectSame(logits[at + i]!, expected, `prompt ${s}, row ${i}`));
      at += tokens.length;
    }
  });

  it("of one prompt come out alike in one call and in many, past the size of a chunk", async () => {
    const tokens = Array.from({ length: 70 }, (_, i) => (i * 11) % 61);
    const run = async (sizes: readonly number[]): Promise<Float32Array[]> => {
      const backend = await wasm(SMALL, "q4");
      const sequence = open(backend, 70);
      const out: Float32Array[] = [];
      let at = 0;
      for (const size of sizes) {
        const rows = await begin(backend, sequence, tokens.slice(at, at + size));
        for (let t = 0; t < 2; t++) backend.iterate(rows);
        out.push(...backend.readout(rows, rows));
        at += size;
      }
      return out;
    };
    const whole = await run([70]);
    (await run([1, 5, 61, 3])).forEach((actual, i) => expectSame(actual, whole[i]!, `position ${i}`));
  });

  it("that are no heads end after the coda's keys, and argmax agrees with the logits", async () => {
    const backend = await wasm(SMALL, "q4");
    const sequence = open(backend);
    const rows = await begin(backend, sequence, [1, 2, 3, 4, 5]);
    backend.iterate(rows);
    const all = backend.readout(rows, rows);
    const some = backend.readout(rows, [rows[4]!, rows[1]!]);
    expectSame(some[0]!, all[4]!, "head 4");
    expectSame(some[1]!, all[1]!, "head 1");
    expect(backend.argmax(rows, [rows[4]!, rows[1]!])).toEqual(some.map((l) => l.indexOf(Math.max(...l))));
    expect(backend.readout(rows, [])).toEqual([]);
    expect(backend.cachedSlots(sequence)).toEqual([-2, -1, 0, 1, 2]);
  });

  it("repeat exactly after a truncation", async () => {
    const backend = await wasm(SMALL);
    const sequence = open(backend);
    backend.iterate(await begin(backend, sequence, [1, 2, 3]));
    const once = async (): Promise<Float32Array> => {
      const rows = await begin(backend, sequence, [9]);
      backend.iterate(rows);
      backend.iterate(rows);
      const [logits] = backend.readout(rows, rows);
      backend.release(rows);
      return logits!;
    };
    const first = await once();
    backend.truncate(sequence, 3);
    expect(sequence.length).toBe(3);
    expectSame(await once(), first);
  });
});

describe("memory", () => {
  it("returns to where it was when sequences and rows are gone", async () => {
    const backend = await wasm(SMALL, "q4");
    open(backend, 96);
    const before = backend.memory();
    for (let i = 0; i < 200; i++) {
      const sequence = open(backend, 1 + (i % 90));
      const rows = await begin(backend, sequence, [1]);
      if (i % 3 === 0) backend.release(rows);
      backend.closeSequence(sequence);
    }
    const { usedBytes, owners } = backend.memory();
    expect(usedBytes).toBe(before.usedBytes);
    expect(owners).toEqual(before.owners);
  });

  it("names what a sequence takes before it is opened, and refuses what does not fit", async () => {
    const backend = await wasm(SMALL, "q4", { limitBytes: 2 * 1048576 });
    const options = { capacity: 40, maxIterations: 8, cache: parseCacheStrategy("full") };
    const before = backend.memory().usedBytes;
    backend.openSequence(options);
    expect(backend.memory().usedBytes - before).toBe(backend.sequenceBytes(options));
    const ledger = backend.memory();
    const size = backend.arena.memory.buffer.byteLength;
    expect(() => backend.openSequence({ ...options, maxIterations: 10_000 })).toThrow(expect.objectContaining({ code: "out_of_memory" }));
    expect(backend.memory()).toEqual(ledger);
    expect(backend.arena.memory.buffer.byteLength).toBe(size);
  });

  it("refuses a model that does not fit", async () => {
    await expect(wasm(SMALL, "f32", { limitBytes: 65536 })).rejects.toMatchObject({ code: "out_of_memory" });
  });
});

describe("mistakes of the caller", () => {
  it("have names and cost nothing", async () => {
    const backend = await wasm(SMALL);
    const sequence = open(backend, 2, 1);
    const state = backend.memory();
    const code = (c: string): unknown => expect.objectContaining({ code: c });
    expect(() => backend.prelude([{ sequence, token: 61 }])).toThrow(code("token_out_of_range"));
    expect(() => backend.prelude([{ sequence, token: 0.5 }])).toThrow(code("token_out_of_range"));
    expect(() => backend.prelude([1, 2, 3].map((token) => ({ sequence, token })))).toThrow(code("context_overflow"));
    expect(() => backend.prelude([{ sequence, token: 1, state: new Float32Array(3) }])).toThrow(code("invalid_request"));
    expect(() => open(backend, 97)).toThrow(code("context_overflow"));
    expect(() => open(backend, 0)).toThrow(code("invalid_request"));
    expect(sequence.length).toBe(0);
    expect(backend.memory()).toEqual(state);
    const rows = backend.prelude([{ sequence, token: 1 }]);
    backend.iterate(rows);
    expect(() => backend.iterate(rows)).toThrow(code("invalid_request"));
    backend.release(rows);
    expect(() => backend.readout(rows, rows)).toThrow(code("invalid_request"));
    backend.closeSequence(sequence);
    expect(() => backend.prelude([{ sequence, token: 1 }])).toThrow(code("invalid_request"));
  });

  it("include a build or path that the host does not have", async () => {
    const simd = paths.find((p) => p.build === "simd")!;
    await expect(wasm(SMALL, "f32", { module: simd.module, path: "u8" })).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe("argmax", () => {
  it.each([
    ["f32", "ln_f"],
    ["q8", "ln_f"],
    ["q4", "ln_f"],
    ["q4", "norm_1"],
    ["q4", "norm_3"],
    ["q4", "qk_bias"],
  ] as const)("of logits that are not finite is an error, not a token, in %s with %s too large", async (format, which) => {
    const load: WasmBackendOptions["load"] = (sink) =>
      randomWeights(
        SMALL,
        format,
      )({
        ...sink,
        vector(name, length) {
          const writer = sink.vector(name, length);
          return name.includes(which) ? { ...writer, write: (chunk) => writer.write(chunk.map(() => 0x7f)) } : writer; // 3.4e38
        },
      });
    for (const { module, path } of paths)
      for (const kv of ["f32", "int8"] as const) {
        const backend = await wasm(SMALL, format, { load, kv, module, path, warm: false });
        const rows = await begin(backend, open(backend), [1, 2, 3]);
        backend.iterate(rows);
        expect(() => backend.argmax(rows, rows.slice(-1)), `${path} ${kv}`).toThrow(expect.objectContaining({ code: "not_finite" }));
      }
  });
});
