/**
 * Activations as the integer kernels read them. A quantised row is
 *   [groups] headers of 16 bytes { scale f32, scale / 16 f32, low start i32, high start i32 }, then
 *   [columns] int8 in order ("bytes"), or int16 with each four columns as 0 2 1 3 ("pairs", for plain SIMD).
 * scale = absmax / 127, integer = x * (127 / absmax) rounded to even. The starts fold the zero point of the weights
 * into the accumulator; which zero point depends on the kernel that will read the row (see its form).
 */
import { MAGIC, MAGIC_BITS, magnitudeBits, maxOfMagnitudes, sumOfLanesI32 } from "./lanes";
import { Matrix } from "./records";

/**
 * Forms of a row: which kernel reads it. The host knows them by these names.
 * U8, I8: how the host's relaxed dot reads a second operand's top bit.
 */
export const Form_Q4_U8: i32 = 0;
export const Form_Q4_I8: i32 = 1;
export const Form_Q4_I16: i32 = 2;
export const Form_Q4_PAIRS: i32 = 3;
export const Form_Q8_U8: i32 = 4;
export const Form_Q8_I8: i32 = 5;
export const Form_Q8_PAIRS: i32 = 6;

export const HEADER_BYTES: usize = 16;

/** Smallest absmax that does not count as zero: below it 127 / absmax would not be finite. */
const SMALLEST: f32 = 1e-30;

// @ts-ignore: decorator
@inline
function isPairs(form: i32): bool {
  return form == Form_Q4_PAIRS || form == Form_Q8_PAIRS;
}

/** What each integer of a column adds to the low accumulator beyond its worth, times the column's activation. */
// @ts-ignore: decorator
@inline
function lowZeroPoint(form: i32): i32 {
  return form <= Form_Q4_PAIRS ? 8 : form == Form_Q8_U8 ? 128 : 0;
}

// @ts-ignore: decorator
@inline
function highZeroPoint(form: i32): i32 {
  return form == Form_Q4_U8 ? 136 : form == Form_Q4_PAIRS ? 128 : 8;
}

// @ts-ignore: decorator
@inline
function highBase(form: i32): i32 {
  return form == Form_Q4_PAIRS ? MAGIC_BITS : 2 * MAGIC_BITS;
}

/** Bytes of one quantised row. */
export function quantisedRowBytes(columns: i32, group: i32, form: i32): i32 {
  return (columns / group) * <i32>HEADER_BYTES + (columns << i32(isPairs(form)));
}

/** Quantises `rows` rows of [columns] f32, `stride` bytes apart, as `m` reads them. */
export function quantiseRows(m: Matrix, x: usize, stride: usize, rows: i32, out: usize): void {
  const group = m.group, form = m.form, outStride = m.xStride;
  const groups = m.columns / group;
  for (; rows > 0; rows--, x += stride, out += outStride) {
    let source = x;
    for (let g = 0; g < groups; g++, source += (<usize>group) << 2) quantiseGroup(source, out, groups, g, group, form);
  }
}

/** Quantises group `g` of the row at `out` from [group] f32 at `source`. What is not finite makes its scale so, too. */
export function quantiseGroup(source: usize, out: usize, groups: i32, g: i32, group: i32, form: i32): void {
  const end = source + ((<usize>group) << 2);
  let largest = f32x4.splat(0), other = largest;
  const magnitude = magnitudeBits();
  for (let p = source; p < end; p += 32) {
    largest = i32x4.max_s(largest, v128.and(v128.load(p), magnitude));
    other = i32x4.max_s(other, v128.and(v128.load(p, 16), magnitude));
  }
  let absmax = maxOfMagnitudes(i32x4.max_s(largest, other));
  const range = f32x4.splat(127);
  const isZero = f32x4.lt(absmax, f32x4.splat(SMALLEST));
  absmax = v128.andnot(absmax, isZero);
  const inverse = v128.andnot(f32x4.div(range, absmax), isZero);
  const scale = f32x4.extract_lane(f32x4.div(absmax, range), 0);
  const magic = f32x4.splat(MAGIC); // its bits are MAGIC_BITS: added as a float, taken away as an integer
  let sum = i32x4.splat(0);
  const pairs = isPairs(form);
  let data = out + groups * HEADER_BYTES + ((<usize>(g * group)) << <usize>pairs);
  for (let p = source; p < end; p += 64) {
    const a = i32x4.sub(f32x4.add(f32x4.mul(v128.load(p), inverse), magic), magic);
    const b = i32x4.sub(f32x4.add(f32x4.mul(v128.load(p, 16), inverse), magic), magic);
    const c = i32x4.sub(f32x4.add(f32x4.mul(v128.load(p, 32), inverse), magic), magic);
    const d = i32x4.sub(f32x4.add(f32x4.mul(v128.load(p, 48), inverse), magic), magic);
    sum = i32x4.add(sum, i32x4.add(i32x4.add(a, b), i32x4.add(c, d)));
    const ab = i16x8.narrow_i32x4_s(a, b);
    const cd = i16x8.narrow_i32x4_s(c, d);
    if (pairs) {
      v128.store(data, v128.shuffle<i16>(ab, ab, 0, 2, 1, 3, 4, 6, 5, 7));
      v128.store(data, v128.shuffle<i16>(cd, cd, 0, 2, 1, 3, 4, 6, 5, 7), 16);
      data += 32;
    } else {
      v128.store(data, i8x16.narrow_i16x8_s(ab, cd));
      data += 16;
    }
  }
  const total = i32x4.extract_lane(sumOfLanesI32(sum), 0);
  const header = out + g * HEADER_BYTES;
  f32.store(header, scale);
  f32.store(header, scale * 0.0625, 4);
  i32.store(header, MAGIC_BITS - lowZeroPoint(form) * total, 8);
  i32.store(header, highBase(form) - highZeroPoint(form) * total, 12);
}
