/**
 * The ONNX backend against the reference backend: every block layout, rows of one call at all depths under every cache
 * strategy, attention weights, the ledger, errors. Golden records, exits and the scheduler run in their own tests.
 */
import { afterAll, describe, expect, it } from "vitest";
import type { Backend, Inspectable, Row, Sequence } from "../../engine/port/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import type { ModelConfig } from "../../engine/model/config.ts";
import { layoutOf } from "../../engine/model/families/index.ts";
import { uniform } from "../../engine/random.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import type { OnnxBackend } from "../../onnx/backend.ts";
import { createOnnxBackend } from "../../onnx/create.ts";
import { createNodeOnnxBackend, nodeHost } from "../../onnx/node.ts";
import { expectClose, expectSame } from "../wasm/compare.ts";
import { randomFloats, randomWeights, SMALL } from "../wasm/models.ts";

const opened: OnnxBackend[] = [];
afterAll(async () => {
  for (const backend of opened) await backend.close();
});

async function onnx(...[config, load, format]: Parameters<typeof createNodeOnnxBackend>): Promise<OnnxBackend> {
  const backend = await createNodeOnnxBackend(config, load, format);
  opened.push(backend);
  return backend;
}

const small = await onnx(SMALL, randomWeights(SMALL));
const reference = await createReferenceBackend(SMALL, randomWeights(SMALL));

function open(backend: Backend, cache = "full", capacity = 12, maxIterations = 5): Sequence {
  return backend.openSequence({ capacity, maxIterations, cache: parseCacheStrategy(cache), attention: true });
}

async function begin(backend: Backend, sequence: Sequence, tokens: readonly number[]): Promise<Row[]> {
  const start = sequence.length;
  return backend.prelude(tokens.map((token, i) => ({ sequence, token, state: randomFloats(backend.config.width, 100 + start + i) })));
}

/**
 * Ten rows that come one or more at a time, run by turns in random company until each has its own depth, some read out
 * on the way. Gives all states, attention weights and logits.
 */
async function story(backend: Backend & Inspectable, cache: string, seed: number): Promise<Float32Array[]> {
  const sequence = open(backend, cache);
  const out: Float32Array[] = [];
  const rows: Row[] = [];
  for (const [chunk, count] of [4, 1, 3, 2].entries()) {
    rows.push(
      ...(await begin(
        backend,
        sequence,
        Array.from({ length: count }, (_, i) => (7 * rows.length + 5 * i + seed) % 61),
      )),
    );
    for (let turn = 0; turn < 4; turn++) {
      const company = rows.filter((row, i) => row.iterations < 5 && uniform(seed, chunk * 10 + turn, i) < 0.6);
      if (company.length === 0) continue;
      await backend.iterate(company);
      for (const row of company) out.push(await backend.latent(row, "raw"));
      out.push(...(await backend.attention(company)));
    }
    const shown = rows.filter((_, i) => uniform(seed, 99, i + chunk) < 0.7);
    const heads = shown.filter((_, i) => i % 2 === 0);
    out.push(...(await backend.readout(shown, heads)));
    for (const row of shown.slice(0, 2)) out.push(await backend.latent(row, "normalised"));
  }
  backend.closeSequence(sequence);
  return out;
}

function expectStories(actual: Float32Array[], expected: Float32Array[], relative = 2e-5): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((values, i) => expectClose(values, expected[i]!, relative, `result ${i}`));
}

const LAYOUTS: readonly [name: string, config: ModelConfig][] = [
  [
    "pre-norm, half-split, grouped heads, no bias, no ln_f after the core",
    {
      ...SMALL,
      kvHeads: 2,
      qkBias: false,
      embedScale: 1,
      tiedHead: false,
      ...layoutOf("retrofitted-llama"),
    },
  ],
  ["sandwich with one kv head", { ...SMALL, kvHeads: 1, qkBias: false }],
  ["no prelude, no coda", { ...SMALL, preludeLayers: 0, codaLayers: 0 }],
  ["one core layer, heads of 32", { ...SMALL, coreLayers: 1, heads: 2, kvHeads: 2, headDim: 32 }],
];

describe.each(LAYOUTS)("the block layout %s", (_, config) => {
  it("gives the reference's states, attention and logits", async () => {
    const expected = await story(await createReferenceBackend(config, randomWeights(config)), "latest-m4", 1);
    expectStories(await story(await onnx(config, randomWeights(config)), "latest-m4", 1), expected);
  });
});

describe("rows of one call at all depths", () => {
  it.each([
    "full",
    "skip",
    "latest-m4",
    "available-m4",
    "always-last-m4",
    "randomized",
    "latest-m4-compress-s4",
    "latest-m4-compress-s2",
    // slots that layers of one call share: some rows read what an earlier layer of the same call writes
    "latest-m4-compress-s1",
    "latest-m4-compress-s3",
    "latest-m4-compress-s5",
    "latest-m4-compress-r2",
    "latest-m4-compress-r3",
    "latest-m4-compress-anchor",
    "skip-compress-s3",
    "always-last-m4-compress-s3",
  ])("read under %s what they read in the reference", async (cache) => {
    for (const seed of [1, 2, 3]) expectStories(await story(small, cache, seed), await story(reference, cache, seed));
  });

  it("of several sequences share a call, each with its own cache", async () => {
    const alone = async (backend: Backend, tokens: number[]): Promise<Float32Array[]> => {
      const sequence = open(backend);
      const rows = await begin(backend, sequence, tokens);
      await backend.iterate(rows);
      return backend.readout(rows, rows);
    };
    const [a, b] = [open(small), open(small)];
    const inputs = [3, 9, 4].flatMap((token, i) => [
      { sequence: a, token, state: randomFloats(SMALL.width, 100 + i) },
      { sequence: b, token: token + 20, state: randomFloats(SMALL.width, 100 + i) },
    ]);
    const rows = await small.prelude(inputs);
    expect(rows.map((row) => row.position)).toEqual([0, 0, 1, 1, 2, 2]);
    await small.iterate(rows.toReversed());
    const logits = await small.readout(rows, [rows[5]!, rows[0]!, rows[4]!]);
    const [first, second] = [await alone(reference, [3, 9, 4]), await alone(reference, [23, 29, 24])];
    expectStories(logits, [second[2]!, first[0]!, first[2]!]);
  });

  it("come back after truncation as if they had never been there", async () => {
    const twice = async (backend: Backend): Promise<Float32Array[]> => {
      const sequence = open(backend);
      const rows = await begin(backend, sequence, [1, 2, 3, 4]);
      await backend.iterate(rows);
      await backend.readout(rows, []);
      backend.release(rows.slice(2));
      backend.truncate(sequence, 2);
      const fresh = await begin(backend, sequence, [9, 8]);
      await backend.iterate(fresh);
      return backend.readout(fresh, fresh);
    };
    expectStories(await twice(small), await twice(reference));
  });
});

describe("int8 graphs", () => {
  it("come close to the f32 ones, and a row's result does not depend on its company", async () => {
    const int8 = await onnx(SMALL, randomWeights(SMALL), "int8");
    const run = async (backend: Backend, chunks: readonly number[][]): Promise<Float32Array[]> => {
      const sequence = open(backend, "latest-m4");
      const out: Float32Array[] = [];
      for (const tokens of chunks) {
        const rows = await begin(backend, sequence, tokens);
        for (let t = 0; t < 3; t++) await backend.iterate(rows);
        out.push(...(await backend.readout(rows, rows)));
      }
      return out;
    };
    const together = await run(int8, [[5, 1, 60, 2]]);
    expectStories(together, await run(reference, [[5, 1, 60, 2]]), 6e-2);
    expectStories(await run(int8, [[5], [1], [60], [2]]), together, 1e-5);
  });
});

describe("the ledger and errors", () => {
  it("counts weights and caches, and refuses what does not fit before allocating", async () => {
    const before = small.memory();
    expect(before.owners["weights"]).toBeGreaterThan(100_000);
    const options = { capacity: 10, maxIterations: 2, cache: parseCacheStrategy("full") };
    const sequence = small.openSequence(options);
    expect(small.memory().usedBytes - before.usedBytes).toBe(small.sequenceBytes(options));
    expect(small.sequenceBytes(options)).toBe(reference.sequenceBytes(options));
    small.closeSequence(sequence);
    small.closeSequence(sequence);
    expect(small.memory().usedBytes).toBe(before.usedBytes);

    const weights = before.owners["weights"]!;
    const limitBytes = weights + small.sequenceBytes(options) - 1;
    const tight = await createOnnxBackend({ ...(await nodeHost()), limitBytes }, SMALL, randomWeights(SMALL));
    opened.push(tight);
    expect(() => tight.openSequence(options)).toThrow(expect.objectContaining({ code: "out_of_memory" }));
    expect(tight.memory()).toMatchObject({ usedBytes: weights, peakBytes: weights, limitBytes });
  });

  it("names wrong calls", async () => {
    expect(() => open(small, "full", 1000)).toThrow(expect.objectContaining({ code: "context_overflow" }));
    const sequence = open(small, "full", 2, 1);
    const code = (error: string) => expect.objectContaining({ code: error });
    await expect(small.prelude([{ sequence, token: 61 }])).rejects.toThrow(code("token_out_of_range"));
    await expect(small.prelude([1, 2, 3].map((token) => ({ sequence, token })))).rejects.toThrow(code("context_overflow"));
    expect(sequence.length).toBe(0);
    await expect(small.prelude([{ sequence, token: 1, state: new Float32Array(3) }])).rejects.toThrow(/64/);
    const rows = await begin(small, sequence, [1]);
    await small.iterate(rows);
    await expect(small.iterate(rows)).rejects.toThrow(/opened for 1 iterations/);
    small.release(rows);
    await expect(small.readout(rows, rows)).rejects.toThrow(/released/);
    small.closeSequence(sequence);
    await expect(small.prelude([{ sequence, token: 1 }])).rejects.toThrow(/closed/);
  });

  it("refuses a strategy that finds nothing before it changes anything", async () => {
    const sequence = open(small, "compress-s4", 4, 3);
    const rows = await begin(small, sequence, [1, 2]);
    await small.iterate(rows);
    const before = await small.latent(rows[1]!, "raw");
    await expect(small.iterate(rows.slice(1))).rejects.toThrow(expect.objectContaining({ code: "missing_cache" }));
    expect(rows[1]!.iterations).toBe(1);
    expectSame(await small.latent(rows[1]!, "raw"), before);
    await small.iterate(rows);
    expect(rows[1]!.iterations).toBe(2);
    small.closeSequence(sequence);
  });
});
