/**
 * The MLP's gate: silu(gate) * up, where a row of y is [gate | up], each [width] f32. As the next matrix's input:
 * f32, or quantised in the same pass.
 */
import { constant, exp, ONE } from "./lanes";
import { quantiseGroup } from "./quantise";
import { Matrix } from "./records";

/** One group of gated values on its way to quantiseGroup, [128] f32. */
const GROUP: usize = memory.data(512, 16);

// @ts-ignore: decorator
@inline
function gated(gate: v128, up: v128): v128 {
  return f32x4.mul(f32x4.div(gate, f32x4.add(constant(ONE), exp(f32x4.sub(i32x4.splat(0), gate)))), up);
}

/** @param m the matrix that reads the result */
export function gateRows(m: Matrix, y: usize, yStride: usize, rows: i32, out: usize): void {
  const bytes = <usize>m.columns << 2, outStride = m.xStride;
  for (; rows > 0; rows--, y += yStride, out += outStride) {
    const up = y + bytes;
    let i: usize = 0;
    for (const vectors = bytes & ~15; i < vectors; i += 16) v128.store(out + i, gated(v128.load(y + i), v128.load(up + i)));
    for (; i < bytes; i += 4)
      f32.store(out + i, f32x4.extract_lane(gated(v128.load32_splat(y + i), v128.load32_splat(up + i)), 0));
  }
}

/** @param m the matrix that reads the result */
export function gateQuantiseRows(m: Matrix, y: usize, yStride: usize, rows: i32, out: usize): void {
  const width = m.columns, group = m.group, form = m.form, outStride = m.xStride;
  const groups = width / group;
  const groupBytes = <usize>group << 2;
  const toUp = <usize>width << 2;
  for (; rows > 0; rows--, y += yStride, out += outStride) {
    let gate = y;
    for (let g = 0; g < groups; g++, gate += groupBytes) {
      for (let i: usize = 0; i < groupBytes; i += 16) v128.store(GROUP + i, gated(v128.load(gate + i), v128.load(gate + i + toUp)));
      quantiseGroup(GROUP, out, groups, g, group, form);
    }
  }
}
