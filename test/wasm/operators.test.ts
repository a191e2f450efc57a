/**
 * The kernels between the matrices against plain f64, over shapes that fill no vector.
 */
import { describe, expect, it } from "vitest";
import { quantise } from "../../engine/model/quantise.ts";
import { dequantise } from "../../engine/model/quantised.ts";
import { expectClose, expectSame } from "./compare.ts";
import { Host, hostPaths } from "./host.ts";
import { randomFloats } from "./models.ts";

const paths = await hostPaths();
const WIDTHS = [1, 2, 6, 16, 33, 50, 96, 160];
const EPS = 1e-5;

function norm(x: ArrayLike<number>, weight: ArrayLike<number>): number[] {
  let squares = 0;
  for (let i = 0; i < x.length; i++) squares += x[i]! ** 2;
  const factor = 1 / Math.sqrt(squares / x.length + EPS);
  return Array.from({ length: x.length }, (_, i) => x[i]! * factor * weight[i]!);
}

const silu = (g: number): number => g / (1 + Math.exp(-g));

describe.each(paths.filter((p, i, all) => all.findIndex((q) => q.build === p.build) === i))("$build build", ({ module, path }) => {
  it.each(WIDTHS)("normalises %i elements, alone and over a sum", (width) => {
    const host = new Host(module, path);
    const [x, y, weight] = [randomFloats(2 * width, 1, 3), randomFloats(2 * width, 2, 3), randomFloats(width, 3, 2)];
    const [w, a, b] = [host.put(weight), host.put(x.slice(0, width)), host.put(x.slice(width))];
    const table = host.table([{ x: a }, { x: b }]);
    const block = host.block({ width, eps: EPS });
    const out = host.room(2 * width * 4);
    host.run.normRows(block, table, 2, w, out, width * 4);
    expectClose(host.floats(out, 2 * width), [...norm(x.subarray(0, width), weight), ...norm(x.subarray(width), weight)], 1e-6, "norm");
    host.run.addNormRows(block, table, 2, host.put(y), width * 4, w);
    const sum = x.map((v, i) => v + y[i]!);
    expectClose(host.floats(a, width), norm(sum.subarray(0, width), weight), 1e-6, "first row of the sum");
    expectClose(host.floats(b, width), norm(sum.subarray(width), weight), 1e-6, "second row of the sum");
    host.run.addRows(block, table, 1, host.put(y), 0);
    expect(host.floats(a, 1)[0]).toBeCloseTo(norm(sum.subarray(0, width), weight)[0]! + y[0]!, 5);
  });

  it("normalises and gates into the same integers as in two steps", () => {
    const host = new Host(module, path);
    for (const [width, group] of [
      [32, 32],
      [192, 64],
      [256, 128],
    ] as const)
      for (const form of [host.kernels.forms.q4, host.kernels.forms.q8]) {
        const stride = 2048;
        const [x, w, gateUp] = [
          host.put(randomFloats(width, 1, 3)),
          host.put(randomFloats(width, 2)),
          host.put(randomFloats(2 * width, 3, 4)),
        ];
        const [once, twice, between] = [host.room(stride), host.room(stride), host.room(width * 4)];
        const table = host.table([{ x }]);
        const block = host.block({ width, eps: EPS });
        const matrix = host.matrix({ columns: width, group, form });
        host.run.normQuantiseRows(block, matrix, table, 1, w, once);
        host.run.normRows(block, table, 1, w, between, 0);
        host.run.quantiseRows(matrix, between, 0, 1, twice);
        expectSame(host.arena.bytes.slice(once, once + stride), host.arena.bytes.slice(twice, twice + stride), `norm of ${width}`);
        host.run.gateQuantiseRows(matrix, gateUp, 0, 1, once);
        host.run.gateRows(matrix, gateUp, 0, 1, between);
        host.run.quantiseRows(matrix, between, 0, 1, twice);
        expectSame(host.arena.bytes.slice(once, once + stride), host.arena.bytes.slice(twice, twice + stride), `gate of ${width}`);
      }
  });

  it.each(WIDTHS)("gates %i elements", (width) => {
    const host = new Host(module, path);
    const y = randomFloats(2 * width, 4, 20);
    y[0] = -200; // e^200 is no f32
    const out = host.room(width * 4);
    host.run.gateRows(host.matrix({ columns: width }), host.put(y), 0, 1, out);
    expectClose(
      host.floats(out, width),
      Array.from({ length: width }, (_, i) => silu(y[i]!) * y[width + i]!),
      1e-6,
    );
  });

  it.each(["f32", "q8", "q4"] as const)("takes rows out of %s tiles", (format) => {
    const host = new Host(module, path);
    const [rows, columns, group] = [37, 96, 32];
    const weights = randomFloats(rows * columns, 9);
    const layout = { format: format as "q4", rows, columns, group };
    const out = host.room(columns * 4);
    let at: number;
    let values = weights;
    if (format === "f32") {
      const packed = new Float32Array(48 * columns);
      for (let r = 0; r < rows; r++)
        for (let k = 0; k < columns; k++) packed[((r >> 4) * columns + k) * 16 + (r & 15)] = weights[r * columns + k]!;
      at = host.put(packed);
    } else {
      at = host.putBytes(quantise(weights, layout));
      values = dequantise(quantise(weights, layout), layout) as Float32Array<ArrayBuffer>;
    }
    const matrix = host.matrix({ weights: at, columns, group });
    for (let row = 0; row < rows; row++) {
      host.kernels.embed[format](matrix, row, 8, out);
      expectSame(
        host.floats(out, columns),
        values.slice(row * columns, (row + 1) * columns).map((v) => v * 8),
        `row ${row}`,
      );
    }
  });

  it.each(WIDTHS)("measures how far states of %i moved, and remembers them", (width) => {
    const host = new Host(module, path);
    const rows = [0, 1, 2].map((n) => {
      const [a, b] = [randomFloats(width, 2 * n + 1), randomFloats(width, 2 * n + 2)];
      return { a, b, at: host.put(Float32Array.of(...a, ...b)) };
    });
    const out = host.room(3 * 16);
    host.run.measureRows(host.table(rows.map(({ at }) => ({ x: at }))), 3, 4 * width, width, out);
    rows.forEach(({ a, b, at }, n) => {
      const sum = (f: (x: number, y: number) => number): number => a.reduce((s, x, i) => s + f(x, b[i]!), 0);
      const expected = [sum((x, y) => (x - y) ** 2), sum((x) => x * x), sum((_, y) => y * y), sum((x, y) => x * y)];
      expectClose(host.floats(out + 16 * n, 4), expected, 1e-6, `row ${n}`);
      expectSame(host.floats(at + 4 * width, width), a, `the remembered state of row ${n}`);
    });
  });

  it.each(WIDTHS)("presses on rows by what moved at %i positions and fewer, and by nothing beyond", (count) => {
    const host = new Host(module, path);
    const counts = [1, Math.ceil(count / 2), count];
    const moved = Float32Array.of(...randomFloats(count, 9), NaN);
    const weights = counts.map((n) => randomFloats(n, n));
    const table = host.table(counts.map((count, i) => ({ count, strongest: host.put(weights[i]!) })));
    const out = host.room(3 * 4);
    host.run.pressRows(table, 3, host.put(moved), out);
    const expected = weights.map((w) => w.reduce((sum, weight, p) => sum + weight * moved[p]!, 0));
    expectClose(host.floats(out, 3), expected, 1e-6);
  });

  it("finds the first of the largest logits, piece by piece", () => {
    const host = new Host(module, path);
    const logits = randomFloats(77, 5);
    logits[40] = logits[70] = 9;
    const [at, best] = [host.put(logits), host.room(16)];
    host.arena.floats[best / 4] = -Infinity;
    for (const [first, count] of [
      [0, 33],
      [33, 20],
      [53, 24],
    ] as const)
      host.run.keepLargest(at + first * 4, count, first, best);
    expect(host.arena.words[best / 4 + 1]).toBe(40);
    expect(host.arena.floats[best / 4]).toBe(9);
  });

  it("keeps a NaN among the logits, wherever it is", () => {
    const host = new Host(module, path);
    for (const at of [0, 7, 16, 31, 35]) {
      const logits = randomFloats(37, 5);
      logits[at] = NaN;
      const [from, best] = [host.put(logits), host.room(16)];
      host.arena.floats[best / 4] = -Infinity;
      host.run.keepLargest(from, 20, 0, best);
      host.run.keepLargest(from + 80, 17, 20, best);
      expect(host.arena.floats[best / 4], `NaN at ${at}`).toBeNaN();
    }
  });
});
