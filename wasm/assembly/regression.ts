/**
 * The two products of a regression over many rows, in f32: rows times weights, and errors back to weights. A module of its
 * own: only `fathom train` fits anything.
 */

/** Sums of four lanes of each of four vectors, in one. */
// @ts-ignore: decorator
@inline
function sumsOf(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(i32x4.shuffle(a, b, 0, 4, 1, 5), i32x4.shuffle(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(i32x4.shuffle(c, d, 0, 4, 1, 5), i32x4.shuffle(c, d, 2, 6, 3, 7));
  return f32x4.add(i64x2.shuffle(ab, cd, 0, 2), i64x2.shuffle(ab, cd, 1, 3));
}

/**
 * out[row, class] = dot(features[row], weights[class]).
 * @param classes a multiple of 4 @param columns a multiple of 4
 */
export function products(features: usize, weights: usize, out: usize, rows: i32, classes: i32, columns: i32): void {
  const stride: usize = columns << 2;
  for (let row = 0; row < rows; row++, features += stride) {
    let w = weights;
    for (let c = 0; c < classes; c += 4, w += stride << 2, out += 16) {
      let s0 = f32x4.splat(0);
      let s1 = f32x4.splat(0);
      let s2 = f32x4.splat(0);
      let s3 = f32x4.splat(0);
      for (let k: usize = 0; k < stride; k += 16) {
        const x = v128.load(features + k);
        const at = w + k;
        s0 = f32x4.add(s0, f32x4.mul(x, v128.load(at)));
        s1 = f32x4.add(s1, f32x4.mul(x, v128.load(at + stride)));
        s2 = f32x4.add(s2, f32x4.mul(x, v128.load(at + (stride << 1))));
        s3 = f32x4.add(s3, f32x4.mul(x, v128.load(at + stride * 3)));
      }
      v128.store(out, sumsOf(s0, s1, s2, s3));
    }
  }
}

/**
 * out[class] = sum over rows of errors[row, class] * features[row]; errors of 0, as most are, cost nothing.
 * @param classes a multiple of 4 @param columns a multiple of 4
 */
export function gradient(features: usize, errors: usize, out: usize, rows: i32, classes: i32, columns: i32): void {
  const stride: usize = columns << 2;
  memory.fill(out, 0, classes * stride);
  for (let row = 0; row < rows; row++, features += stride) {
    let to = out;
    for (let c = 0; c < classes; c++, errors += 4, to += stride) {
      const error = load<f32>(errors);
      if (error == 0) continue;
      const factor = f32x4.splat(error);
      for (let k: usize = 0; k < stride; k += 16)
        v128.store(to + k, f32x4.add(v128.load(to + k), f32x4.mul(factor, v128.load(features + k))));
    }
  }
}
