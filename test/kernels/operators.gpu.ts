/**
 * Kernels one by one against the reference's operators: matrices of every weight type and shape, attention over every
 * kind of head, measuring, choosing a token.
 */
import { expect, it } from "vitest";
import { quantise } from "../../engine/model/quantise.ts";
import { dequantise, TILE_ROWS, type QuantLayout } from "../../engine/model/quantised.ts";
import { add, attend, linear, rmsNorm, siluGate, type Seen } from "../../engine/reference/ops.ts";
import { NONE } from "../../kernels/layout.ts";
import { PLAIN_WGSL } from "../../kernels/kernels.ts";
import type { StructValue } from "../../kernels/pack.ts";
import { ROWS_TOGETHER } from "../../kernels/program.ts";
import { floatTileBytes, tileWriter, type FloatFormat } from "../../kernels/tiles.ts";
import type { WeightType } from "../../kernels/matrix.ts";
import { expectClose, expectSame } from "../wasm/compare.ts";
import { randomFloats } from "../wasm/models.ts";
import { KernelBench } from "./bench.ts";
import { describeOnDevice } from "./device.ts";

const MODEL = {
  WIDTH: 64,
  HEADS: 4,
  KV_HEADS: 4,
  CACHE_HEADS: 4,
  HEAD_DIM: 16,
  PRELUDE_LAYERS: 1,
  CORE_LAYERS: 2,
  STATE_STRIDE: 260,
  VOCAB: 300,
};

/** A product that does nothing but multiply. */
const PRODUCT: StructValue = {
  outputs: 0,
  columns: 0,
  group: 0,
  source: 0,
  source_at: 0,
  stride: 0,
  norms: 0,
  norm_a: NONE,
  norm_b: NONE,
  stats_at: 0,
  stats_parts: 0,
  keep_at: NONE,
  residual_at: NONE,
  out_at: 0,
  out_stats_at: NONE,
  out_norm: NONE,
  stage: 0,
  layer: 0,
  bias_at: NONE,
  weights_at: 0,
  first_output: 0,
  first_key: 0,
  eps: 1e-6,
};

describeOnDevice("matmul", (host) => {
  const cases: [type: WeightType, outputs: number, columns: number, group: number, threads: number, tolerance: number][] = [
    ["f32", 40, 50, 0, 64, 2e-6],
    ["f32", 130, 1100, 0, 256, 4e-6],
    ["f16", 40, 51, 0, 64, 1e-3],
    ["q8", 61, 64, 32, 64, 2e-6],
    ["q8", 100, 1280, 64, 256, 2e-6],
    ["q4", 61, 96, 32, 64, 2e-6],
    ["q4", 100, 1536, 128, 256, 2e-6],
    ["q4", 20, 2048, 32, 64, 2e-6],
  ];
  it.each(cases)("%s [%i, %i], groups of %i, %i threads", async (type, outputs, columns, group, threads, tolerance) => {
    const rows = 11;
    const weights = randomFloats(outputs * columns, 1);
    const layout: QuantLayout = { format: type === "q4" ? "q4" : "q8", rows: outputs, columns, group };
    const isQuantised = group > 0;
    const packed = isQuantised ? quantise(weights, layout) : floatTiles(weights, outputs, columns, type as FloatFormat);
    const matrix = {
      rows: outputs,
      columns,
      weights: isQuantised ? dequantise(packed, layout) : weights,
      activationGroup: isQuantised ? group : undefined,
    };
    const [norm, residual] = [randomFloats(columns, 2), randomFloats(rows * outputs, 3)];
    // a scratch row: input, residual, output, one pair of sums of the input, pairs of sums of the output
    const at = { residual: columns, out: columns + outputs, stats: columns + 2 * outputs, outStats: columns + 2 * outputs + 2 };
    const stride = at.outStats + 2 * Math.ceil(outputs / 16);
    const scratch = new Float32Array(rows * stride);
    const inputs = Array.from({ length: rows }, (_, r) => randomFloats(columns, 10 + r));
    inputs.forEach((x, r) => {
      scratch.set(x, r * stride);
      scratch.set(residual.subarray(r * outputs, (r + 1) * outputs), r * stride + at.residual);
      scratch[r * stride + at.stats] = x.reduce((sum, v) => sum + v * v, 0);
    });
    const results: Float32Array[] = [];
    for (const [together, replacements] of [[1], [ROWS_TOGETHER], [ROWS_TOGETHER, PLAIN_WGSL]] as const) {
      const bench = await KernelBench.open(host.gpu, `matmul_${type}`, { ...MODEL, THREADS: threads, ROWS: together }, replacements);
      bench.put("weights", packed);
      bench.put("vectors", norm);
      bench.put("states", new Float32Array(4));
      bench.put("scratch", scratch);
      bench.put("list", Uint32Array.of(rows, ...inputs.keys()));
      bench.params({
        ...PRODUCT,
        outputs,
        columns,
        group,
        stride,
        norms: 1,
        norm_a: 0,
        stats_at: at.stats,
        stats_parts: 1,
        residual_at: at.residual,
        out_at: at.out,
        out_stats_at: at.outStats,
      });
      results.push(await bench.run("scratch", Math.ceil(outputs / bench.constant("OUTPUTS")), Math.ceil(rows / together)));
    }
    inputs.forEach((x, r) => {
      const expected = add(linear(matrix, rmsNorm(x, norm, 1e-6)), residual.subarray(r * outputs, (r + 1) * outputs));
      const row = results[0]!.subarray(r * stride, (r + 1) * stride);
      expectClose(row.subarray(at.out, at.out + outputs), expected, tolerance);
      const sums = row.subarray(at.outStats, stride).filter((_, i) => i % 2 === 0);
      expect(sums.reduce((a, b) => a + b, 0)).toBeCloseTo(
        expected.reduce((sum, v) => sum + v * v, 0),
        1,
      );
    });
    // a row does not depend on who shares its call, nor on the host's WGSL
    for (const other of results.slice(1)) expectSame(other, results[0]!);
  });

  it("gates its input", async () => {
    const [columns, outputs] = [33, 5];
    const weights = randomFloats(outputs * columns, 1);
    const hidden = randomFloats(2 * columns, 2, 30);
    const bench = await KernelBench.open(host.gpu, "matmul_f32", { ...MODEL, THREADS: 64, ROWS: 1 });
    bench.put("weights", floatTiles(weights, outputs, columns, "f32"));
    bench.put("vectors", new Float32Array(4));
    bench.put("states", new Float32Array(4));
    bench.put("scratch", Float32Array.of(...hidden, ...new Float32Array(outputs)));
    bench.put("list", Uint32Array.of(1, 0));
    bench.params({ ...PRODUCT, outputs, columns, source: bench.constant("SOURCE_GATED"), out_at: 2 * columns });
    const out = await bench.run("scratch", 1);
    expectClose(
      out.subarray(2 * columns, 2 * columns + outputs),
      linear({ rows: outputs, columns, weights, activationGroup: undefined }, siluGate(hidden)),
      2e-6,
    );
  });
});

describeOnDevice("attention", (host) => {
  const cases: [heads: number, kvHeads: number, headDim: number, positions: number][] = [
    [2, 2, 16, 1],
    [4, 2, 24, 65],
    [2, 1, 96, 130],
    [3, 3, 64, 64],
  ];
  it.each(cases)("of %i heads on %i, %i wide, over %i positions", async (heads, kvHeads, headDim, positions) => {
    const entry = 2 * kvHeads * headDim;
    const query = randomFloats(heads * headDim, 1, 2);
    const cache = randomFloats(positions * entry, 2, 2);
    const constants = { ...MODEL, HEADS: heads, KV_HEADS: kvHeads, CACHE_HEADS: kvHeads, HEAD_DIM: headDim, WIDTH: heads * headDim };
    const bench = await KernelBench.open(host.gpu, "attention", constants);
    bench.put("cache", cache);
    bench.put("steps", new Uint32Array(positions));
    bench.put("scratch", Float32Array.of(...query, ...new Float32Array(heads * headDim + 2 * heads)));
    bench.put("list", Uint32Array.of(1, 0));
    bench.rows({ position: positions - 1, capacity: positions, sharing_slots: 1, seed: 1, attended_at: NONE });
    bench.params({
      stage: 0,
      layer: 0,
      stride: 0,
      query_at: 0,
      out_at: heads * headDim,
      peaks_at: 2 * heads * headDim,
      first_head: 0,
      first_key_head: 0,
    });
    const out = await bench.run("scratch", heads);
    const seen = Array.from({ length: positions }, (_, p): Seen => {
      const half = p * entry + entry / 2;
      return { key: cache.subarray(p * entry, half), value: cache.subarray(half, half + entry / 2) };
    });
    expectClose(out.subarray(heads * headDim, 2 * heads * headDim), attend(query, seen, heads, kvHeads), 1e-5);
  });
});

describeOnDevice("finish_token", (host) => {
  it("takes the first of equal logits", async () => {
    const bench = await KernelBench.open(host.gpu, "finish_token", { ...MODEL, THREADS: 64 });
    const logits = new Float32Array(2 * MODEL.VOCAB).fill(-5);
    for (const v of [70, 6, 199]) logits[v] = 2;
    logits[MODEL.VOCAB + 299] = -4;
    bench.put("results", logits);
    bench.put("list", Uint32Array.of(2, 0, 1));
    bench.rows({ left: 3 }, { left: 3, log_at: 8 });
    bench.put("steps", new Uint32Array(16));
    const log = new Uint32Array((await bench.run("steps", 2)).buffer);
    const at = bench.constant("LOG_TOKEN");
    expect([log[at], log[8 + at]]).toEqual([6, 299]);
  });
});

/** The tiles of a whole matrix, as the backend makes them on loading. */
function floatTiles(weights: Float32Array<ArrayBuffer>, rows: number, columns: number, type: FloatFormat): Uint8Array {
  const out = new Uint8Array(Math.ceil(rows / TILE_ROWS) * floatTileBytes(type, columns));
  const writer = tileWriter(columns, type, (offset, tile) => out.set(new Uint8Array(tile.buffer), offset));
  writer.write(new Uint8Array(weights.buffer));
  writer.done();
  return out;
}
