/**
 * Matrix kernels against f64, and against each other: every path gives the same bits, whatever rows share the call.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { quantise } from "../../engine/model/quantise.ts";
import { dequantise, quantisedBytes, type QuantFormat } from "../../engine/model/quantised.ts";
import { formsOf } from "../../wasm/kernels.ts";
import { expectClose, expectSame } from "./compare.ts";
import { Host, hostPaths } from "./host.ts";
import { randomFloats } from "./models.ts";

const paths = await hostPaths();
/** Rows of W, columns, group, rows of x. */
const SHAPES: readonly [rows: number, columns: number, group: number, batch: number][] = [
  [16, 32, 32, 1],
  [61, 32, 32, 3],
  [199, 64, 64, 2],
  [7, 128, 128, 13],
  [96, 160, 32, 5],
  [130, 192, 64, 6],
  [48, 384, 128, 11],
  [32, 1056, 32, 5], // a tile of several pages
];

/** What a quantised row stands for, read back from its header and integers. */
function readActivations(host: Host, at: number, columns: number, group: number, pairs: boolean): { integers: number[]; scales: number[] } {
  const groups = columns / group;
  const scales = Array.from({ length: groups }, (_, g) => host.arena.floats[(at + g * 16) / 4]!);
  const data = at + groups * 16;
  const order = [0, 2, 1, 3];
  const integers = Array.from({ length: columns }, (_, k) => {
    const { bytes } = host.arena;
    if (!pairs) return (bytes[data + k]! << 24) >> 24;
    const index = data + 2 * ((k & ~3) + order.indexOf(k & 3));
    return ((bytes[index]! | (bytes[index + 1]! << 8)) << 16) >> 16;
  });
  return { integers, scales };
}

describe("quantised activations", () => {
  it.each([32, 64, 128])("round to even over groups of %i", (group) => {
    for (const { module, path, name } of paths) {
      const host = new Host(module, path);
      const columns = 2 * group;
      const x = randomFloats(columns, 3, 5);
      x.fill(0, 0, group / 2);
      x[1] = 127;
      x[2] = 0.5; // a tie: to even, 0
      x[3] = 1.5; // 2
      x[4] = -2.5; // -2
      for (const format of ["q4", "q8"] as const) {
        const form = host.kernels.forms[format];
        const pairs = host.run.quantisedRowBytes(columns, group, form) > columns * 2;
        const out = host.room(4096);
        host.run.quantiseRows(host.matrix({ columns, group, form }), host.put(x), 0, 1, out);
        const { integers, scales } = readActivations(host, out, columns, group, pairs);
        expect(integers.slice(0, 5), name).toEqual([0, 127, 0, 2, -2]);
        expect(scales[0], name).toBe(1);
        expectClose(
          integers.map((v, k) => v * scales[Math.floor(k / group)]!),
          x,
          0.5 / 127,
          `${name} ${format}`,
        );
      }
    }
  });

  it("take a group of zeros or of tiny numbers as zero", () => {
    const host = new Host(paths[0]!.module, paths[0]!.path);
    const form = host.kernels.forms.q8;
    const out = host.room(4096);
    host.run.quantiseRows(host.matrix({ columns: 64, group: 32, form }), host.put(new Float32Array(64).fill(1e-38, 32)), 0, 1, out);
    const { integers, scales } = readActivations(host, out, 64, 32, host.run.quantisedRowBytes(64, 32, form) > 128);
    expect(integers.every((v) => v === 0)).toBe(true);
    expect(scales).toEqual([0, 0]);
  });
});

describe.each(["q4", "q8"] as const)("%s matrices", (format: QuantFormat) => {
  for (const [rows, columns, group, batch] of SHAPES) {
    const weights = randomFloats(rows * columns, 11);
    const x = randomFloats(batch * columns, 12, 3);
    const layout = { format, rows, columns, group };

    it(`of ${rows} x ${columns} in groups of ${group} times ${batch} rows equal f64 on the same integers`, () => {
      const w = dequantise(quantise(weights, layout), layout);
      for (const { module, path, name } of paths) {
        const host = new Host(module, path);
        const actual = host.multiply(weights, layout, x, batch);
        const form = host.kernels.forms[format];
        const out = host.room(8192);
        const expected: number[] = [];
        for (let b = 0; b < batch; b++) {
          host.run.quantiseRows(host.matrix({ columns, group, form }), host.put(x.slice(b * columns, (b + 1) * columns)), 0, 1, out);
          const { integers, scales } = readActivations(
            host,
            out,
            columns,
            group,
            host.run.quantisedRowBytes(columns, group, form) > columns * 2,
          );
          for (let r = 0; r < rows; r++)
            expected.push(integers.reduce((sum, v, k) => sum + v * scales[Math.floor(k / group)]! * w[r * columns + k]!, 0));
        }
        expectClose(actual, expected, 2e-6, name);
      }
    });

    it(`of ${rows} x ${columns} in groups of ${group} give the same bits on every path and in any company`, () => {
      const first = new Host(paths[0]!.module, paths[0]!.path).multiply(weights, layout, x, batch);
      for (const { module, path, name } of paths) {
        expectSame(new Host(module, path).multiply(weights, layout, x, batch), first, name);
        expectSame(new Host(module, path, "code").multiply(weights, layout, x, batch), first, `${name}, bounds checked in code`);
        for (let b = 0; b < batch; b++)
          expectSame(
            new Host(module, path).multiply(weights, layout, x.slice(b * columns, (b + 1) * columns), 1),
            first.slice(b * rows, (b + 1) * rows),
            `${name}, row ${b} alone`,
          );
      }
    });
  }

  it("are read to the memory's last byte and no further", () => {
    const layout = { format, rows: 48, columns: 1056, group: 32 };
    const [weights, x] = [randomFloats(48 * 1056, 11), randomFloats(2 * 1056, 12)];
    const first = new Host(paths[0]!.module, paths[0]!.path).multiply(weights, layout, x, 2);
    for (const { module, path, name } of paths) expectSame(new Host(module, path).multiply(weights, layout, x, 2, "putLast"), first, name);
  });

  it("stay exact at the largest integers", () => {
    const layout = { format, rows: 16, columns: 128, group: 128 };
    const weights = new Float32Array(16 * 128).fill(-1);
    const x = new Float32Array(128).fill(1).map((v, k) => (k === 0 ? 1 : v));
    for (const { module, path, name } of paths) {
      const expected = dequantise(quantise(weights, layout), layout).subarray(0, 128);
      const sum = expected.reduce((a, b) => a + b, 0);
      expectClose(new Host(module, path).multiply(weights, layout, x, 1), new Float32Array(16).fill(sum), 1e-6, name);
    }
  });

  it("have the bytes that the file format says", () => {
    expect(quantisedBytes({ format, rows: 17, columns: 64, group: 64 })).toBe(2 * (format === "q4" ? 576 : 1088));
  });
});

/** The i8 path runs only on hosts that read a second operand as signed; its arithmetic can be followed anywhere. */
describe("the i8 path", () => {
  it("has starts that give the same integers", () => {
    const host = new Host(paths[0]!.module, paths[0]!.path);
    const group = 64;
    const forms = formsOf(host.run as unknown as WebAssembly.Exports, "i8");
    const x = randomFloats(group, 3);
    const out = host.room(1024);
    const weights = Int32Array.from(randomFloats(2 * group, 4), (v) => Math.floor(v * 8));
    const magic = 0x4b400000;
    const read = (form: number): { integers: number[]; low: number; high: number } => {
      host.run.quantiseRows(host.matrix({ columns: group, group, form }), host.put(x), 0, 1, out);
      const [low, high] = [host.arena.words[out / 4 + 2]! | 0, host.arena.words[out / 4 + 3]! | 0];
      return { integers: readActivations(host, out, group, group, false).integers, low, high };
    };
    const dot = (integers: readonly number[], w: (k: number) => number): number => integers.reduce((sum, v, k) => sum + v * w(k), 0);
    const { integers, low, high } = read(forms.q4);
    const [lowRow, highRow] = [(k: number): number => weights[k]!, (k: number): number => weights[group + k]!];
    const byte = (k: number): number => 16 * (highRow(k) + 8) + lowRow(k) + 8;
    const lowSum = (low + dot(integers, (k) => lowRow(k) + 8)) | 0;
    const wholeSum = (high + dot(integers, (k) => byte(k) - 128)) | 0; // flipped by 128, read as signed
    expect(lowSum - magic).toBe(dot(integers, lowRow));
    expect(((wholeSum - lowSum) | 0) - magic).toBe(16 * dot(integers, highRow));
    const q8 = read(forms.q8);
    expect(q8.low - magic + dot(q8.integers, lowRow)).toBe(dot(q8.integers, lowRow));
  });
});

describe("f32 matrices", () => {
  let host: Host;
  beforeAll(() => {
    host = new Host(paths[0]!.module, paths[0]!.path);
  });

  it.each([
    [16, 1, 1],
    [61, 33, 3],
    [5, 7, 2],
    [96, 160, 9],
    [32, 1000, 2], // a tile of several pages
  ])("of %i x %i times %i rows equal f64, each row in any company", (rows, columns, batch) => {
    const weights = randomFloats(rows * columns, 5);
    const x = randomFloats(batch * columns, 6);
    const tiles = Math.ceil(rows / 16);
    const packed = inTiles(weights, rows, columns);
    const [w, at, y] = [host.put(packed), host.put(x), host.room(batch * tiles * 64)];
    const tileBytes = columns * 64;
    const matrix = host.matrix({ weights: w - tileBytes, tileBytes, columns, xStride: columns * 4, yStride: tiles * 64 });
    host.run.multiplyF32(matrix, 1, tiles, at, batch, y);
    const together = host.floats(y, batch * tiles * 16);
    for (let b = 0; b < batch; b++) {
      const expected = Array.from({ length: rows }, (_, r) => {
        let sum = 0;
        for (let k = 0; k < columns; k++) sum += weights[r * columns + k]! * x[b * columns + k]!;
        return sum;
      });
      const row = together.subarray(b * tiles * 16, b * tiles * 16 + rows);
      expectClose(row, expected, 1e-5, `row ${b}`);
      host.run.multiplyF32(matrix, 1, tiles, at + b * columns * 4, 1, y);
      expectSame(host.floats(y, rows), row, `row ${b} alone`);
    }
  });

  it("are read to the memory's last byte and no further, wherever pages begin in them", () => {
    const [rows, columns] = [48, 1000];
    const x = randomFloats(columns, 6);
    const packed = inTiles(randomFloats(rows * columns, 5), rows, columns);
    const products = [0, 16, 32, 48].map((shift) => {
      const at = new Host(paths[0]!.module, paths[0]!.path);
      const place = { tileBytes: columns * 64, columns, xStride: columns * 4, yStride: rows * 4 };
      const bytes = new Uint8Array(packed.buffer);
      const weights = shift === 0 ? at.putLast(bytes) : at.room(bytes.length + shift) + shift;
      at.arena.bytes.set(bytes, weights);
      const y = at.room(rows * 4);
      at.run.multiplyF32(at.matrix({ ...place, weights }), 0, rows / 16, at.put(x), 1, y);
      return at.floats(y, rows);
    });
    for (const product of products) expectSame(product, products[0]!, "the first");
  });
});

/** Rows of a matrix as f32 tiles: [tile][column][16]. */
function inTiles(weights: Float32Array, rows: number, columns: number): Float32Array<ArrayBuffer> {
  const packed = new Float32Array(Math.ceil(rows / 16) * columns * 16);
  for (let r = 0; r < rows; r++)
    for (let k = 0; k < columns; k++) packed[((r >> 4) * columns + k) * 16 + (r & 15)] = weights[r * columns + k]!;
  return packed;
}
