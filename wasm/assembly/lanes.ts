/**
 * Four f32 or i32 lanes at a time: sums across lanes, exp, and rounding by a magic number.
 * Multiply and add stay two instructions everywhere: with fused ones the two builds, and hosts with and without FMA,
 * would give different last bits, and with them different tokens.
 */

/** 1.5 * 2^23. Added to a float of magnitude below 2^22 it leaves the float rounded to even in the low bits. */
export const MAGIC: f32 = 12582912;
/** The bits of MAGIC: an integer added to them reads, as a float, MAGIC + integer. Exact below 2^22. */
export const MAGIC_BITS: i32 = 0x4b400000;

/** v0 + v1 + v2 + v3, always in the order (0 + 1) + (2 + 3). */
// @ts-ignore: decorator
@inline
export function sumF32(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

/** The lanes' sum, in every lane. */
// @ts-ignore: decorator
@inline
export function sumOfLanesI32(v: v128): v128 {
  v = i32x4.add(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return i32x4.add(v, v128.shuffle<i32>(v, v, 1, 0, 3, 2));
}

/** The largest lane, in every lane. pmax is one instruction; max, for the sake of NaN, is seven. */
// @ts-ignore: decorator
@inline
export function maxOfLanes(v: v128): v128 {
  v = f32x4.pmax(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return f32x4.pmax(v, v128.shuffle<f32>(v, v, 1, 0, 3, 2));
}

/**
 * The largest of absolute values, in every lane. Their bits compare as integers: one instruction, and a NaN is larger than
 * all numbers, so that it is not lost.
 */
// @ts-ignore: decorator
@inline
export function maxOfMagnitudes(v: v128): v128 {
  v = i32x4.max_s(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return i32x4.max_s(v, v128.shuffle<i32>(v, v, 1, 0, 3, 2));
}

/** All bits but the sign, for absolute values: f32x4.abs builds them anew at every use. */
// @ts-ignore: decorator
@inline
export function magnitudeBits(): v128 {
  return i32x4.splat(0x7fffffff);
}

/** c + a * b, rounded twice. */
// @ts-ignore: decorator
@inline
export function mulAdd(a: v128, b: v128, c: v128): v128 {
  return f32x4.add(c, f32x4.mul(a, b));
}

/** Lane r of the result is the sum of the lanes of the r-th argument. */
// @ts-ignore: decorator
@inline
export function sumEach(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/** Lane r of the result is the i32 sum of the lanes of the r-th argument. */
// @ts-ignore: decorator
@inline
export function sumEachI32(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  return i32x4.add(v128.shuffle<i32>(ab, cd, 0, 1, 4, 5), v128.shuffle<i32>(ab, cd, 2, 3, 6, 7));
}

/**
 * exp's constants. Loaded where they are used: one instruction, where a constant written as such would be built anew in
 * several at every use.
 */
const EXP: usize = memory.data<f32>([
  -80, 80, 1.44269504, 12582912, 0.693359375, -2.1219444e-4,
  1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1,
], 16);

/** Index of 1 among them. */
export const ONE: usize = 12;

// @ts-ignore: decorator
@inline
export function constant(index: usize): v128 {
  return v128.load32_splat(EXP + (index << 2));
}

/** The bits of MAGIC - 127, so that magic + n minus them is the exponent field of 2^n. */
const EXPONENT_BASE: usize = memory.data<i32>([0x4b400000 - 127], 4);

/**
 * e^x to 2 ulp for -80 <= x <= 80; NaN of NaN; clamped outside, so that no product with it becomes a denormal number, which would take
 * a hundred cycles. Cephes' expf: 2^n times a polynomial of the rest.
 */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  x = f32x4.pmax(f32x4.pmin(x, constant(1)), constant(0)); // in this order they keep a NaN
  const shifted = f32x4.add(f32x4.mul(x, constant(2)), constant(3));
  const n = f32x4.sub(shifted, constant(3));
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(n, constant(4))), f32x4.mul(n, constant(5)));
  let p = constant(6);
  p = mulAdd(p, r, constant(7));
  p = mulAdd(p, r, constant(8));
  p = mulAdd(p, r, constant(9));
  p = mulAdd(p, r, constant(10));
  p = mulAdd(p, r, constant(11));
  p = mulAdd(p, f32x4.mul(r, r), f32x4.add(r, constant(ONE)));
  // the low bits of `shifted` hold n: moved into the exponent field they multiply by 2^n
  return f32x4.mul(p, i32x4.shl(i32x4.sub(shifted, v128.load32_splat(EXPONENT_BASE)), 23));
}

/** (accumulator - MAGIC) * (weight scale * activation scale) */
// @ts-ignore: decorator
@inline
export function scaled(accumulator: v128, magic: v128, scale: v128, weightScale: v128): v128 {
  return f32x4.mul(f32x4.sub(accumulator, magic), f32x4.mul(scale, weightScale));
}
