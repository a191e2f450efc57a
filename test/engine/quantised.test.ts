import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { quantise } from "../../engine/model/quantise.ts";
import { dequantise, quantisedBytes, type QuantFormat, type QuantLayout } from "../../engine/model/quantised.ts";
import { uniform } from "../../engine/random.ts";

function noise(n: number, seed = 1): Float32Array {
  return Float32Array.from({ length: n }, (_, i) => uniform(seed, 0, i) * 2 - 1);
}

function relativeError(a: Float32Array, b: Float32Array): number {
  let [difference, total] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    total += b[i]! ** 2;
  }
  return Math.sqrt(difference / total);
}

describe("quantised tiles", () => {
  const shapes: [rows: number, columns: number, group: number][] = [
    [16, 64, 64],
    [5, 32, 32],
    [33, 128, 64],
    [48, 256, 128],
  ];
  const bound: Record<QuantFormat, number> = { q8: 0.006, q4: 0.11 };
  for (const format of ["q8", "q4"] as const)
    for (const [rows, columns, group] of shapes)
      it(`hold a ${rows} x ${columns} matrix as ${format} in groups of ${group}`, () => {
        const weights = noise(rows * columns);
        const layout: QuantLayout = { format, rows, columns, group };
        const packed = quantise(weights, layout);
        expect(packed.length).toBe(quantisedBytes(layout));
        const back = dequantise(packed, layout);
        expect(back.length).toBe(weights.length);
        expect(relativeError(back, weights)).toBeLessThan(bound[format]);
      });

  it("give back exactly what they can represent, and stay put when quantised again", () => {
    fc.assert(
      fc.property(fc.constantFrom<QuantFormat>("q4", "q8"), fc.integer({ min: 1, max: 40 }), fc.integer(), (format, rows, seed) => {
        const layout: QuantLayout = { format, rows, columns: 64, group: 32 };
        const once = dequantise(quantise(noise(rows * 64, seed), layout), layout);
        const twice = dequantise(quantise(once, layout), layout);
        expect(relativeError(twice, once)).toBeLessThan(format === "q8" ? 1e-3 : 0.05);
      }),
      { numRuns: 50 },
    );
  });

  it("keep zeros zero", () => {
    const layout: QuantLayout = { format: "q4", rows: 16, columns: 64, group: 64 };
    expect(dequantise(quantise(new Float32Array(1024), layout), layout)).toEqual(new Float32Array(1024));
  });

  it("refuse columns that groups do not divide, and unknown groups", () => {
    expect(() => quantise(noise(160), { format: "q4", rows: 1, columns: 160, group: 64 })).toThrow(
      /groups of 64 do not divide; choose a group of 32/,
    );
    expect(() => quantise(noise(48), { format: "q4", rows: 1, columns: 48, group: 32 })).toThrow(/do not divide; only f32 fits\.$/);
    expect(() => quantise(noise(160), { format: "q4", rows: 1, columns: 160, group: 10 })).toThrow(/Group size 10/);
  });
});
