/**
 * Parts of the WebGPU backend that need no device: f16 rounding, the text of shaders, which exit rules the device takes.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decidesOnDevice } from "../../kernels/decode.ts";
import { f16Bits } from "../../kernels/float16.ts";
import { assemble, bindingsOf } from "../../kernels/shader.ts";

describe("f16Bits", () => {
  it("rounds to nearest, ties to even, as the host does", () => {
    const view = new DataView(new ArrayBuffer(2));
    const expected = (v: number): number => {
      view.setFloat16(0, v);
      return view.getUint16(0);
    };
    fc.assert(
      fc.property(fc.float({ noNaN: true }), (v) => {
        expect(f16Bits(v)).toBe(expected(v));
      }),
      { numRuns: 5000 },
    );
    for (const v of [
      0,
      -0,
      1,
      65504,
      65520,
      6.1e-5,
      2 ** -24,
      2 ** -25,
      1.5 * 2 ** -24,
      Infinity,
      -Infinity,
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
    ])
      expect(f16Bits(v), String(v)).toBe(expected(v));
    expect(f16Bits(NaN) & 0x7c00).toBe(0x7c00);
    expect(f16Bits(NaN) & 0x3ff).not.toBe(0);
  });
});

describe("assemble", () => {
  it("resolves includes and puts constants in front", () => {
    const text = assemble("finish_stage", { WIDTH: 64, SCALE: { f32: 0.1 } });
    expect(text).toMatch(/^const WIDTH = 64u;\nconst SCALE = f32\(0\.1/);
    expect(text).not.toContain("#include");
    expect(bindingsOf(text).map(({ name, type }) => `${name} ${type}`)).toEqual([
      "params uniform",
      "vectors read-only-storage",
      "states storage",
      "scratch read-only-storage",
      "list read-only-storage",
    ]);
  });

  it("names a file that is missing", () => {
    expect(() => assemble("nothing", {})).toThrow("nothing.wgsl");
  });
});

describe("decidesOnDevice", () => {
  const rule = { criterion: "latent-diff", threshold: 0.03 } as const;

  it("takes rules whose numbers fit the words of a row, and leaves others to the host", () => {
    expect(decidesOnDevice(rule)).toBe(true);
    expect(decidesOnDevice({ ...rule, threshold: Infinity, minIterations: 4, checkEvery: 2 })).toBe(true);
    expect(decidesOnDevice({ ...rule, criterion: "kl" })).toBe(false);
    expect(decidesOnDevice({ ...rule, minIterations: Infinity })).toBe(false);
    expect(decidesOnDevice({ ...rule, checkEvery: 0.5 })).toBe(false);
    expect(decidesOnDevice({ ...rule, threshold: NaN })).toBe(false);
  });
});
