/**
 * RMSNorm over rows of the table: x * (1 / sqrt(mean(x^2) + eps)), rounded, times the weight. As the input of a matrix
 * (f32, or quantised in the same pass), or in place: over a matrix's output, or over the sum with it.
 */
import { mulAdd, sumF32 } from "./lanes";
import { quantiseGroup } from "./quantise";
import { Block, Matrix } from "./records";
import { ROW_BYTES, rowX } from "./rows";

/** One group of normalised values on its way to quantiseGroup, [128] f32. */
const GROUP: usize = memory.data(512, 16);

/** 1 / sqrt(mean(x^2) + eps) of [width] f32. */
// @ts-ignore: decorator
@inline
function inverseRms(x: usize, width: i32, eps: f32): f32 {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  let p = x;
  for (const end = x + (<usize>(width & ~15) << 2); p < end; p += 64) {
    let v = v128.load(p);
    s0 = mulAdd(v, v, s0);
    v = v128.load(p, 16);
    s1 = mulAdd(v, v, s1);
    v = v128.load(p, 32);
    s2 = mulAdd(v, v, s2);
    v = v128.load(p, 48);
    s3 = mulAdd(v, v, s3);
  }
  let sum = sumF32(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  for (const end = x + (<usize>width << 2); p < end; p += 4) sum += f32.load(p) * f32.load(p);
  return <f32>1 / sqrt<f32>(sum / <f32>width + eps);
}

// @ts-ignore: decorator
@inline
function normalise(x: usize, factor: f32, weight: usize, out: usize, width: i32): void {
  const f = f32x4.splat(factor);
  const vectors = <usize>(width & ~3) << 2;
  let i: usize = 0;
  for (; i < vectors; i += 16) v128.store(out + i, f32x4.mul(f32x4.mul(v128.load(x + i), f), v128.load(weight + i)));
  for (const bytes = <usize>width << 2; i < bytes; i += 4) f32.store(out + i, f32.load(x + i) * factor * f32.load(weight + i));
}

/** out[row] = norm(x[row]), [width] f32, `outStride` bytes apart. */
export function normRows(block: Block, table: usize, rows: i32, weight: usize, out: usize, outStride: usize): void {
  const width = block.width, eps = block.eps;
  for (; rows > 0; rows--, table += ROW_BYTES, out += outStride) {
    const x = rowX(table);
    normalise(x, inverseRms(x, width, eps), weight, out, width);
  }
}

/** out[row] = norm(x[row]), quantised as `m` reads it. */
export function normQuantiseRows(block: Block, m: Matrix, table: usize, rows: i32, weight: usize, out: usize): void {
  const width = block.width, eps = block.eps, group = m.group, form = m.form, outStride = m.xStride;
  const groups = width / group;
  const groupBytes = <usize>group << 2;
  for (; rows > 0; rows--, table += ROW_BYTES, out += outStride) {
    let x = rowX(table);
    const factor = inverseRms(x, width, eps);
    let w = weight;
    for (let g = 0; g < groups; g++, x += groupBytes, w += groupBytes) {
      normalise(x, factor, w, GROUP, group);
      quantiseGroup(GROUP, out, groups, g, group, form);
    }
  }
}

/** y[row] = norm(y[row]), [width] f32: what a matrix gave, or its queries or keys alone. */
export function normOutputs(block: Block, y: usize, yStride: usize, rows: i32, width: i32, weight: usize): void {
  const eps = block.eps;
  for (; rows > 0; rows--, y += yStride) normalise(y, inverseRms(y, width, eps), weight, y, width);
}

/** x[row] = norm(x[row] + y[row]) */
export function addNormRows(block: Block, table: usize, rows: i32, y: usize, yStride: usize, weight: usize): void {
  const width = block.width, eps = block.eps;
  for (; rows > 0; rows--, table += ROW_BYTES, y += yStride) {
    const x = rowX(table);
    addTo(x, y, width);
    normalise(x, inverseRms(x, width, eps), weight, x, width);
  }
}

/** x[row] += y[row] */
export function addRows(block: Block, table: usize, rows: i32, y: usize, yStride: usize): void {
  const width = block.width;
  for (; rows > 0; rows--, table += ROW_BYTES, y += yStride) addTo(rowX(table), y, width);
}

// @ts-ignore: decorator
@inline
function addTo(x: usize, y: usize, width: i32): void {
  const vectors = <usize>(width & ~3) << 2;
  let i: usize = 0;
  for (; i < vectors; i += 16) v128.store(x + i, f32x4.add(v128.load(x + i), v128.load(y + i)));
  for (const bytes = <usize>width << 2; i < bytes; i += 4) f32.store(x + i, f32.load(x + i) + f32.load(y + i));
}
