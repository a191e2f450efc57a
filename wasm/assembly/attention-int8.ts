/**
 * Attention over int8 cache entries (wasm/sequence.ts), else as in attention.ts: softmax in f32, both products in
 * integers. q becomes int16 (its rounding is far below the keys'), and so do the softmax weights, each with its
 * position's value scale in it. Exact in i32, so equal on every build.
 */
import { MAGIC, MAGIC_BITS, maxF32, sumEach, sumF32 } from "./lanes";
import { keepStrongest, softmax } from "./attention";
import { ROW_BYTES, rowCount, rowList, rowQuery, rowShift, rowStrongest } from "./rows";

/** One head of q, [headDim] int16. */
const QUERY: usize = memory.data(2 * 1024, 16);

/** Largest sum of the int16 weights: times 127 it stays within an i32. */
const LARGEST_WEIGHT_SUM: f32 = 16777216;

/**
 * @param scores       scratch, as many f32 as the longest list, padded to four
 * @param out          rows of [heads * headDim] f32, `outStride` bytes apart
 * @param valueOffset  bytes from an entry's key to its value
 * @param scaleOffset  bytes from a key to its scales, and from a value to its
 */
export function attendRowsInt8(table: usize, rows: i32, heads: i32, kvHeads: i32, headDim: i32, scale: f32, valueOffset: usize, scaleOffset: usize, scores: usize, out: usize, outStride: usize): void {
  for (; rows > 0; rows--, table += ROW_BYTES, out += outStride) {
    const list = rowList(table);
    const count = rowCount(table);
    for (let h = 0; h < heads; h++) {
      const kv: usize = (h * kvHeads) / heads;
      const key = rowShift(table) + kv * headDim;
      const keyScale = rowShift(table) + scaleOffset + (kv << 2);
      const queryScale = quantiseQuery(rowQuery(table) + h * ((<usize>headDim) << 2), headDim);
      scoreAll(list, count, key, keyScale, headDim, queryScale * scale, scores);
      const inverse = softmax(scores, count);
      keepStrongest(scores, count, inverse, rowStrongest(table));
      const weightScale = quantiseWeights(list, count, keyScale + valueOffset, scores);
      mix(scores, list, count, key + valueOffset, headDim, weightScale * inverse, out + h * ((<usize>headDim) << 2));
    }
  }
}

/** q into QUERY; returns its scale. */
// @ts-ignore: decorator
@inline
function quantiseQuery(query: usize, headDim: i32): f32 {
  const bytes = (<usize>headDim) << 2;
  const vectors = bytes & ~15;
  let largest = f32x4.splat(0);
  let i: usize = 0;
  for (; i < vectors; i += 16) largest = f32x4.max(largest, f32x4.abs(v128.load(query + i)));
  let absmax = maxF32(largest);
  for (; i < bytes; i += 4) absmax = max(absmax, abs(f32.load(query + i)));
  if (absmax < 1e-30) absmax = 0;
  const inverse: f32 = absmax == 0 ? 0 : 32767 / absmax;
  for (i = 0; i < vectors; i += 16) v128.store64_lane(QUERY + (i >> 1), narrowed(v128.load(query + i), f32x4.splat(inverse)), 0);
  for (; i < bytes; i += 4) i32.store16(QUERY + (i >> 1), reinterpret<i32>(f32.load(query + i) * inverse + MAGIC) - MAGIC_BITS);
  return absmax / 32767;
}

/** round(v * factor) as int16, twice over. */
// @ts-ignore: decorator
@inline
function narrowed(v: v128, factor: v128): v128 {
  const integers = i32x4.sub(f32x4.add(f32x4.mul(v, factor), f32x4.splat(MAGIC)), i32x4.splat(MAGIC_BITS));
  return i16x8.narrow_i32x4_s(integers, integers);
}

/** Four keys' scales. */
// @ts-ignore: decorator
@inline
function gather(list: usize, offset: usize): v128 {
  const ab = v128.load32_lane(<usize>i32.load(list, 4) + offset, v128.load32_zero(<usize>i32.load(list) + offset), 1);
  return v128.load32_lane(<usize>i32.load(list, 12) + offset, v128.load32_lane(<usize>i32.load(list, 8) + offset, ab, 2), 3);
}

// @ts-ignore: decorator
@inline
function dotAdd(q: v128, key: usize, c: v128): v128 {
  return i32x4.add(c, i32x4.dot_i16x8_s(q, v128.load8x8_s(key)));
}

/** scores[n] = q . k[n] * factor, four entries at a time. */
// @ts-ignore: decorator
@inline
function scoreAll(list: usize, count: i32, offset: usize, scaleOffset: usize, headDim: i32, factor: f32, scores: usize): void {
  const vectors: usize = headDim & ~7;
  for (let n: usize = 0; n < (<usize>count) << 2; n += 16) {
    const k0 = <usize>i32.load(list + n) + offset, k1 = <usize>i32.load(list + n, 4) + offset;
    const k2 = <usize>i32.load(list + n, 8) + offset, k3 = <usize>i32.load(list + n, 12) + offset;
    let s0 = i32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let i: usize = 0;
    for (; i < vectors; i += 8) {
      const q = v128.load(QUERY + (i << 1));
      s0 = dotAdd(q, k0 + i, s0);
      s1 = dotAdd(q, k1 + i, s1);
      s2 = dotAdd(q, k2 + i, s2);
      s3 = dotAdd(q, k3 + i, s3);
    }
    for (; i < <usize>headDim; i++) {
      const q = i32.load16_s(QUERY + (i << 1));
      s0 = i32x4.replace_lane(s0, 0, i32x4.extract_lane(s0, 0) + q * i32.load8_s(k0 + i));
      s1 = i32x4.replace_lane(s1, 0, i32x4.extract_lane(s1, 0) + q * i32.load8_s(k1 + i));
      s2 = i32x4.replace_lane(s2, 0, i32x4.extract_lane(s2, 0) + q * i32.load8_s(k2 + i));
      s3 = i32x4.replace_lane(s3, 0, i32x4.extract_lane(s3, 0) + q * i32.load8_s(k3 + i));
    }
    const s = sumEach(f32x4.convert_i32x4_s(s0), f32x4.convert_i32x4_s(s1), f32x4.convert_i32x4_s(s2), f32x4.convert_i32x4_s(s3));
    v128.store(scores + n, f32x4.mul(f32x4.mul(s, f32x4.splat(factor)), gather(list + n, scaleOffset)));
  }
}

/** weights[n] *= value scale of n, then to int16 in place, 0 past `count`; returns their scale. */
// @ts-ignore: decorator
@inline
function quantiseWeights(list: usize, count: i32, scaleOffset: usize, weights: usize): f32 {
  const bytes = (<usize>count) << 2;
  for (let p = weights + bytes; p & 15; p += 4) f32.store(p, 0);
  let largest = f32x4.splat(0), sum = largest;
  for (let n: usize = 0; n < bytes; n += 16) {
    const w = f32x4.mul(v128.load(weights + n), gather(list + n, scaleOffset));
    v128.store(weights + n, w);
    largest = f32x4.max(largest, w);
    sum = f32x4.add(sum, w);
  }
  const absmax = maxF32(largest);
  if (absmax < 1e-30) {
    memory.fill(weights, 0, bytes);
    return 0;
  }
  const factor = min<f32>(32767 / absmax, LARGEST_WEIGHT_SUM / sumF32(sum));
  const f = f32x4.splat(factor);
  for (let n: usize = 0; n < bytes; n += 16) v128.store64_lane(weights + (n >> 1), narrowed(v128.load(weights + n), f), 0);
  return 1 / factor;
}

/** Lanes a0 b0 a1 b1 .. of two values' dimensions, as a pairwise dot wants them. */
// @ts-ignore: decorator
@inline
function low(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
// @ts-ignore: decorator
@inline
function high(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
// @ts-ignore: decorator
@inline
function mixAdd(pair: v128, weights: v128, c: v128): v128 {
  return i32x4.add(c, i32x4.dot_i16x8_s(pair, weights));
}

/** out = scale * sum of weights[n] * v[n], two positions and 32 dimensions at a time. */
// @ts-ignore: decorator
@inline
function mix(weights: usize, list: usize, count: i32, offset: usize, headDim: i32, scale: f32, out: usize): void {
  const end = (<usize>count) << 2;
  const factor = f32x4.splat(scale);
  let i: usize = 0;
  for (; i + 32 <= <usize>headDim; i += 32) {
    let o0 = i32x4.splat(0), o1 = o0, o2 = o0, o3 = o0, o4 = o0, o5 = o0, o6 = o0, o7 = o0;
    for (let n: usize = 0; n < end; n += 8) {
      const v = <usize>i32.load(list + n) + offset + i, u = <usize>i32.load(list + n, 4) + offset + i;
      const w = v128.load32_splat(weights + (n >> 1));
      let a = v128.load8x8_s(v), b = v128.load8x8_s(u);
      o0 = mixAdd(low(a, b), w, o0), o1 = mixAdd(high(a, b), w, o1);
      a = v128.load8x8_s(v, 8), b = v128.load8x8_s(u, 8);
      o2 = mixAdd(low(a, b), w, o2), o3 = mixAdd(high(a, b), w, o3);
      a = v128.load8x8_s(v, 16), b = v128.load8x8_s(u, 16);
      o4 = mixAdd(low(a, b), w, o4), o5 = mixAdd(high(a, b), w, o5);
      a = v128.load8x8_s(v, 24), b = v128.load8x8_s(u, 24);
      o6 = mixAdd(low(a, b), w, o6), o7 = mixAdd(high(a, b), w, o7);
    }
    const at = out + (i << 2);
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(o0), factor));
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(o1), factor), 16);
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(o2), factor), 32);
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(o3), factor), 48);
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(o4), factor), 64);
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(o5), factor), 80);
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(o6), factor), 96);
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(o7), factor), 112);
  }
  for (; i < <usize>headDim; i++) {
    let o = 0;
    for (let n: usize = 0; n < end; n += 4) o += i32.load16_s(weights + (n >> 1)) * i32.load8_s(<usize>i32.load(list + n) + offset + i);
    f32.store(out + (i << 2), <f32>o * scale);
  }
}
