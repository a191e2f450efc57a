/**
 * Four f32 or i32 lanes at a time: sums across lanes, exp, and rounding by a magic number.
 * Multiply and add stay two instructions everywhere: with fused ones the two builds, and hosts with and without FMA,
 * would give different last bits, and with them different tokens.
 */

/** 1.5 * 2^23. Added to a float of magnitude below 2^22 it leaves the float rounded to even in the low bits. */
export const MAGIC: f32 = 12582912;
/** The same number's bits: an integer added to them reads, as a float, MAGIC + integer. Exact below 2^22. */
export const MAGIC_BITS: i32 = 0x4b400000;

/** v0 + v1 + v2 + v3, always in the order (0 + 1) + (2 + 3). */
// @ts-ignore: decorator
@inline
export function sumF32(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

// @ts-ignore: decorator
@inline
export function sumI32(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3);
}

// @ts-ignore: decorator
@inline
export function maxF32(v: v128): f32 {
  return max(
    max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
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

/** e^x to 2 ulp for -87 <= x <= 88; clamped outside. Cephes' expf: 2^n times a polynomial of the rest. */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  x = f32x4.pmax(f32x4.splat(-87), f32x4.pmin(f32x4.splat(88), x));
  const shifted = f32x4.add(f32x4.mul(x, f32x4.splat(1.44269504)), f32x4.splat(MAGIC));
  const n = f32x4.sub(shifted, f32x4.splat(MAGIC));
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375))), f32x4.mul(n, f32x4.splat(-2.1219444e-4)));
  let p = f32x4.splat(1.98756915e-4);
  p = mulAdd(p, r, f32x4.splat(1.3981999507e-3));
  p = mulAdd(p, r, f32x4.splat(8.3334519073e-3));
  p = mulAdd(p, r, f32x4.splat(4.1665795894e-2));
  p = mulAdd(p, r, f32x4.splat(1.6666665459e-1));
  p = mulAdd(p, r, f32x4.splat(5.0000001201e-1));
  p = mulAdd(p, f32x4.mul(r, r), f32x4.add(r, f32x4.splat(1)));
  // the low bits of `shifted` hold n: moved into the exponent field they multiply by 2^n
  const power = i32x4.shl(i32x4.add(i32x4.sub(shifted, i32x4.splat(MAGIC_BITS)), i32x4.splat(127)), 23);
  return f32x4.mul(p, power);
}
