/**
 * Quantisation of weights for `fathom convert`, byte for byte that of engine/model/quantise.ts: doubles, the same
 * operations in the same order. Six scales are tried side by side, two to a vector. A module of its own: servers never
 * convert.
 */

const TILE_ROWS: i32 = 16;
const SCALE_BYTES: usize = 64;
const Q8_MAX: f64 = 127;
const Q4_MIN: f64 = -8;
const Q4_MAX: f64 = 7;

/** Added to a whole number of small magnitude, it leaves it in the low bits of the double. */
const IN_LOW_BITS: f64 = 6755399441055744;

/** The largest magnitude of a group of 32, 64 or 128. */
// @ts-ignore: decorator
@inline
function magnitudeOf(at: usize, group: i32): f32 {
  let most = f32x4.splat(0);
  for (let k = 0; k < group; k += 4) most = f32x4.pmax(most, f32x4.abs(v128.load(at + (k << 2))));
  most = f32x4.pmax(most, i8x16.shuffle(most, most, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1));
}

/** The weight of that magnitude, with its sign; the first of equals. */
// @ts-ignore: decorator
@inline
function extremeOf(at: usize, magnitude: f32): f32 {
  let v = load<f32>(at);
  while (abs(v) != magnitude) v = load<f32>((at += 4));
  return v;
}

/** Quotients as Math.round gives them, halves up: the difference is exact where it decides. */
// @ts-ignore: decorator
@inline
function rounded(v: v128, scale: v128): v128 {
  const q = f64x2.div(v, scale);
  const n = f64x2.floor(q);
  return f64x2.add(n, v128.and(f64x2.ge(f64x2.sub(q, n), f64x2.splat(0.5)), f64x2.splat(1)));
}

// @ts-ignore: decorator
@inline
function within(n: v128, least: f64, most: f64): v128 {
  return f64x2.pmax(f64x2.splat(least), f64x2.pmin(f64x2.splat(most), n));
}

// @ts-ignore: decorator
@inline
function squaredErrors(v: v128, scale: v128): v128 {
  const error = f64x2.sub(v, f64x2.mul(scale, within(rounded(v, scale), Q4_MIN, Q4_MAX)));
  return f64x2.mul(error, error);
}

/** The integers of four weights that follow each other, a byte each. */
// @ts-ignore: decorator
@inline
function integers(at: usize, scale: v128, least: f64, most: f64): v128 {
  const low = within(rounded(f64x2.promote_low_f32x4(v128.load64_zero(at)), scale), least, most);
  const high = within(rounded(f64x2.promote_low_f32x4(v128.load64_zero(at + 8)), scale), least, most);
  const magic = f64x2.splat(IN_LOW_BITS);
  return i8x16.shuffle(f64x2.add(low, magic), f64x2.add(high, magic), 0, 8, 16, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

/** The share of the plain scale with the least squared error; the first of equals. */
// @ts-ignore: decorator
@inline
function bestQ4Scale(at: usize, group: i32, plain: f64): f64 {
  const ab = f64x2(plain, plain * 0.96);
  const cd = f64x2(plain * 0.92, plain * 0.88);
  const ef = f64x2(plain * 0.84, plain * 0.8);
  let sumAb = f64x2.splat(0);
  let sumCd = f64x2.splat(0);
  let sumEf = f64x2.splat(0);
  for (let k = 0; k < group; k++) {
    const v = f64x2.splat(<f64>load<f32>(at + (k << 2)));
    sumAb = f64x2.add(sumAb, squaredErrors(v, ab));
    sumCd = f64x2.add(sumCd, squaredErrors(v, cd));
    sumEf = f64x2.add(sumEf, squaredErrors(v, ef));
  }
  let least = f64x2.extract_lane(sumAb, 0);
  let best = plain;
  if (f64x2.extract_lane(sumAb, 1) < least) (least = f64x2.extract_lane(sumAb, 1)), (best = f64x2.extract_lane(ab, 1));
  if (f64x2.extract_lane(sumCd, 0) < least) (least = f64x2.extract_lane(sumCd, 0)), (best = f64x2.extract_lane(cd, 0));
  if (f64x2.extract_lane(sumCd, 1) < least) (least = f64x2.extract_lane(sumCd, 1)), (best = f64x2.extract_lane(cd, 1));
  if (f64x2.extract_lane(sumEf, 0) < least) (least = f64x2.extract_lane(sumEf, 0)), (best = f64x2.extract_lane(ef, 0));
  if (f64x2.extract_lane(sumEf, 1) < least) best = f64x2.extract_lane(ef, 1);
  return best;
}

/** weights [rows, columns] f32 -> tiles at `out`, which must be zeros. */
export function quantise_q4(weights: usize, rows: i32, columns: i32, group: i32, out: usize): void {
  const blockBytes = <usize>(TILE_ROWS * group) / 2 + SCALE_BYTES;
  const groups = columns / group;
  const bias = i8x16.splat(<i8>-Q4_MIN);
  let at = weights;
  for (let row = 0; row < rows; row++) {
    const r = row % TILE_ROWS;
    const shift = r >= 8 ? 4 : 0;
    let block = out + <usize>((row / TILE_ROWS) * groups) * blockBytes;
    for (let g = 0; g < groups; g++) {
      const magnitude = magnitudeOf(at, group);
      let to = block + <usize>(((r >> 2) & 1) * 16 + (r & 3) * 4);
      let scale: f64 = 0;
      if (magnitude != 0) scale = <f64>(<f32>bestQ4Scale(at, group, <f64>extremeOf(at, magnitude) / Q4_MIN));
      for (let k = 0; k < group; k += 4) {
        const n = scale != 0 ? integers(at + (k << 2), f64x2.splat(scale), Q4_MIN, Q4_MAX) : i8x16.splat(0);
        store<u32>(to, load<u32>(to) | (i32x4.extract_lane(i8x16.add(n, bias), 0) << shift));
        to += 32;
      }
      store<f32>(block + blockBytes - SCALE_BYTES + <usize>(r * 4), <f32>(scale != 0 ? scale : 0));
      at += group << 2;
      block += blockBytes;
    }
  }
}

/** Quantises rows to tiles of q8, a byte a weight. */
export function quantise_q8(weights: usize, rows: i32, columns: i32, group: i32, out: usize): void {
  const blockBytes = <usize>(TILE_ROWS * group) + SCALE_BYTES;
  const groups = columns / group;
  let at = weights;
  for (let row = 0; row < rows; row++) {
    const r = row % TILE_ROWS;
    let block = out + <usize>((row / TILE_ROWS) * groups) * blockBytes;
    for (let g = 0; g < groups; g++) {
      const magnitude = magnitudeOf(at, group);
      let to = block + <usize>((r >> 2) * 16 + (r & 3) * 4);
      const scale = <f64>(<f32>(<f64>magnitude / Q8_MAX));
      if (scale != 0) {
        for (let k = 0; k < group; k += 4) {
          store<u32>(to, i32x4.extract_lane(integers(at + (k << 2), f64x2.splat(scale), -Q8_MAX, Q8_MAX), 0));
          to += 64;
        }
        store<f32>(block + blockBytes - SCALE_BYTES + <usize>(r * 4), <f32>scale);
      }
      at += group << 2;
      block += blockBytes;
    }
  }
}
