/**
 * Attention over int8 cache entries (wasm/sequence.ts), else as in attention.ts: softmax in f32, both products in
 * integers. q and the softmax weights (each with its position's value scale in it) become integers of 14 bits, whose
 * rounding is far below that of the keys and values. Exact in i32, so equal on every build.
 *
 * Relaxed build: a 14-bit number is 128 high + low, both of 7 bits, which every host's dot reads alike as a second
 * operand. q is signed: its high part is kept as high + 64, and the key's sum, stored beside its scale, takes the surplus
 * back. Plain build: int16 products.
 */
import { MAGIC, magnitudeBits, maxOfLanes, maxOfMagnitudes, sumEachI32, sumF32 } from "./lanes";
import { keepStrongest, softmax } from "./attention";
import { Block } from "./records";
import { ROW_BYTES, rowCount, rowList, rowQuery, rowShift, rowStrongest } from "./rows";

/** One head of q, [headDim] int16. */
const QUERY: usize = memory.data(2 * 512, 16);
/** The query's integers as 7-bit parts, [headDim] u8 each. */
const QUERY_HIGH: usize = memory.data(512, 16);
const QUERY_LOW: usize = memory.data(512, 16);

const LARGEST_QUERY: f32 = 8191;
const LARGEST_WEIGHT: f32 = 16383;
/** Largest sum of the integer weights: times 127 it stays within an i32. */
const LARGEST_WEIGHT_SUM: f32 = 16777216;

/**
 * Scales lie `scaleOffset` bytes behind a key, [kvHeads] of { scale f32, sum i32 }, and behind a value, [kvHeads] f32.
 * @param scores  scratch, as many f32 as the longest list, padded to four
 * @param out     rows of [heads * headDim] f32, `outStride` bytes apart
 */
export function attendRowsInt8(block: Block, table: usize, rows: i32, scores: usize, out: usize, outStride: usize): void {
  const heads = block.heads, kvHeads = block.kvHeads, headDim = block.headDim, scale = block.scale;
  const valueOffset = block.valueOffset, scaleOffset = block.scaleOffset;
  const headBytes = (<usize>headDim) << 2;
  for (; rows > 0; rows--, table += ROW_BYTES, out += outStride) {
    const list = rowList(table);
    const count = rowCount(table);
    for (let h = 0; h < heads; h++) {
      const kv: usize = (h * kvHeads) / heads;
      const key = rowShift(table) + kv * headDim;
      const queryScale = quantiseQuery(rowQuery(table) + h * headBytes, headDim);
      const toScale = scaleOffset + (kv << 3) - kv * headDim;
      if (ASC_FEATURE_RELAXED_SIMD) scoreAllByDots(list, count, key, toScale, headDim, queryScale * scale, scores);
      else scoreAll(list, count, key, toScale, headDim, queryScale * scale, scores);
      const inverse = softmax(scores, count);
      keepStrongest(scores, count, inverse, rowStrongest(table));
      const weightScale = quantiseWeights(list, count, rowShift(table) + valueOffset + scaleOffset + (kv << 2), scores);
      const value = key + valueOffset;
      if (ASC_FEATURE_RELAXED_SIMD) mixByDots(scores, list, count, value, headDim, weightScale * inverse, out + h * headBytes);
      else mix(scores, list, count, value, headDim, weightScale * inverse, out + h * headBytes);
    }
  }
}

/** round(v * factor); `magic` is MAGIC in every lane. */
// @ts-ignore: decorator
@inline
function rounded(v: v128, factor: v128, magic: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(v, factor), magic), magic); // MAGIC_BITS are MAGIC's bits
}

/** q into QUERY, and in the relaxed build its parts; returns its scale. */
function quantiseQuery(query: usize, headDim: i32): f32 {
  const bytes = (<usize>headDim) << 2;
  const vectors = bytes & ~15;
  const magnitude = magnitudeBits();
  let largest = f32x4.splat(0);
  let i: usize = 0;
  for (; i < vectors; i += 16) largest = i32x4.max_s(largest, v128.and(v128.load(query + i), magnitude));
  for (; i < bytes; i += 4) largest = i32x4.max_s(largest, v128.and(v128.load32_splat(query + i), magnitude));
  let absmax = f32x4.extract_lane(maxOfMagnitudes(largest), 0);
  if (absmax < 1e-30) absmax = 0;
  const inverse = f32x4.splat(absmax == 0 ? 0 : LARGEST_QUERY / absmax), magic = f32x4.splat(MAGIC);
  const sevenBits = i32x4.splat(127), half = i32x4.splat(64);
  for (i = 0; i < vectors; i += 16) {
    const q = rounded(v128.load(query + i), inverse, magic);
    v128.store64_lane(QUERY + (i >> 1), i16x8.narrow_i32x4_s(q, q), 0);
    if (!ASC_FEATURE_RELAXED_SIMD) continue;
    const parts = i16x8.narrow_i32x4_s(i32x4.add(i32x4.shr_s(q, 7), half), v128.and(q, sevenBits));
    const narrow = i8x16.narrow_i16x8_u(parts, parts);
    v128.store32_lane(QUERY_HIGH + (i >> 2), narrow, 0);
    v128.store32_lane(QUERY_LOW + (i >> 2), narrow, 1);
  }
  for (; i < bytes; i += 4) i32.store16(QUERY + (i >> 1), i32x4.extract_lane(rounded(v128.load32_splat(query + i), inverse, magic), 0));
  return absmax / LARGEST_QUERY;
}

/** Sums of four keys' products -> scores. `k` are the keys, `toScale` leads from them to their scales and sums. */
// @ts-ignore: decorator
@inline
function finishScores(sums: v128, surplus: bool, k0: usize, k1: usize, k2: usize, k3: usize, toScale: usize, factor: f32, out: usize): void {
  const ab = v128.load64_lane(k1 + toScale, v128.load64_zero(k0 + toScale), 1);
  const cd = v128.load64_lane(k3 + toScale, v128.load64_zero(k2 + toScale), 1);
  if (surplus) sums = i32x4.sub(sums, i32x4.shl(v128.shuffle<i32>(ab, cd, 1, 3, 5, 7), 13));
  const scales = v128.shuffle<f32>(ab, cd, 0, 2, 4, 6);
  v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(sums), f32x4.mul(scales, f32x4.splat(factor))));
}

// @ts-ignore: decorator
@inline
function dot(a: v128, b: v128, c: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(a, b, c);
}

/** scores[n] = q . k[n] * factor, four entries at a time. */
// @ts-ignore: decorator
@inline
function scoreAllByDots(list: usize, count: i32, offset: usize, toScale: usize, headDim: i32, factor: f32, scores: usize): void {
  const vectors: usize = headDim & ~15;
  for (let n: usize = 0; n < (<usize>count) << 2; n += 16) {
    const k0 = <usize>i32.load(list + n) + offset, k1 = <usize>i32.load(list + n, 4) + offset;
    const k2 = <usize>i32.load(list + n, 8) + offset, k3 = <usize>i32.load(list + n, 12) + offset;
    let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    let i: usize = 0;
    for (; i < vectors; i += 16) {
      const high = v128.load(QUERY_HIGH + i), low = v128.load(QUERY_LOW + i);
      let k = v128.load(k0 + i);
      a0 = dot(k, high, a0), b0 = dot(k, low, b0), k = v128.load(k1 + i);
      a1 = dot(k, high, a1), b1 = dot(k, low, b1), k = v128.load(k2 + i);
      a2 = dot(k, high, a2), b2 = dot(k, low, b2), k = v128.load(k3 + i);
      a3 = dot(k, high, a3), b3 = dot(k, low, b3);
    }
    b0 = i32x4.add(b0, i32x4.shl(a0, 7)), b1 = i32x4.add(b1, i32x4.shl(a1, 7));
    b2 = i32x4.add(b2, i32x4.shl(a2, 7)), b3 = i32x4.add(b3, i32x4.shl(a3, 7));
    // the rest by whole numbers, with the surplus that finishScores takes back
    for (; i < <usize>headDim; i++) {
      const q = i32.load16_s(QUERY + (i << 1)) + 8192;
      b0 = addFirst(b0, q * i32.load8_s(k0 + i)), b1 = addFirst(b1, q * i32.load8_s(k1 + i));
      b2 = addFirst(b2, q * i32.load8_s(k2 + i)), b3 = addFirst(b3, q * i32.load8_s(k3 + i));
    }
    finishScores(sumEachI32(b0, b1, b2, b3), true, k0, k1, k2, k3, toScale, factor, scores + n);
  }
}

// @ts-ignore: decorator
@inline
function addFirst(v: v128, value: i32): v128 {
  return i32x4.replace_lane(v, 0, i32x4.extract_lane(v, 0) + value);
}

// @ts-ignore: decorator
@inline
function dotAdd(q: v128, key: usize, c: v128): v128 {
  return i32x4.add(c, i32x4.dot_i16x8_s(q, v128.load8x8_s(key)));
}

/** Scores of all positions, by the plain build's instructions. */
// @ts-ignore: decorator
@inline
function scoreAll(list: usize, count: i32, offset: usize, toScale: usize, headDim: i32, factor: f32, scores: usize): void {
  const vectors: usize = headDim & ~7;
  for (let n: usize = 0; n < (<usize>count) << 2; n += 16) {
    const k0 = <usize>i32.load(list + n) + offset, k1 = <usize>i32.load(list + n, 4) + offset;
    const k2 = <usize>i32.load(list + n, 8) + offset, k3 = <usize>i32.load(list + n, 12) + offset;
    let s0 = i32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let i: usize = 0;
    for (; i < vectors; i += 8) {
      const q = v128.load(QUERY + (i << 1));
      s0 = dotAdd(q, k0 + i, s0), s1 = dotAdd(q, k1 + i, s1);
      s2 = dotAdd(q, k2 + i, s2), s3 = dotAdd(q, k3 + i, s3);
    }
    for (; i < <usize>headDim; i++) {
      const q = i32.load16_s(QUERY + (i << 1));
      s0 = addFirst(s0, q * i32.load8_s(k0 + i)), s1 = addFirst(s1, q * i32.load8_s(k1 + i));
      s2 = addFirst(s2, q * i32.load8_s(k2 + i)), s3 = addFirst(s3, q * i32.load8_s(k3 + i));
    }
    finishScores(sumEachI32(s0, s1, s2, s3), false, k0, k1, k2, k3, toScale, factor, scores + n);
  }
}

/**
 * weights[n] *= value scale of n, then to integers in place, 0 past `count`; returns their scale. Four weights take
 * 8 bytes: four high and four low parts (relaxed build), or four int16.
 */
// @ts-ignore: decorator
@inline
function quantiseWeights(list: usize, count: i32, scaleOffset: usize, weights: usize): f32 {
  const bytes = (<usize>count) << 2;
  for (let p = weights + bytes; p & 15; p += 4) f32.store(p, 0);
  let largest = f32x4.splat(0), sum = largest;
  for (let n: usize = 0; n < bytes; n += 16) {
    const ab = v128.load32_lane(<usize>i32.load(list + n, 4) + scaleOffset, v128.load32_zero(<usize>i32.load(list + n) + scaleOffset), 1);
    const scales = v128.load32_lane(<usize>i32.load(list + n, 12) + scaleOffset, v128.load32_lane(<usize>i32.load(list + n, 8) + scaleOffset, ab, 2), 3);
    // what lies past `count` is no scale: its weight, 0, stays 0
    const weight = v128.load(weights + n), w = v128.and(f32x4.mul(weight, scales), f32x4.gt(weight, f32x4.splat(0)));
    v128.store(weights + n, w);
    largest = f32x4.pmax(largest, w);
    sum = f32x4.add(sum, w);
  }
  const absmax = f32x4.extract_lane(maxOfLanes(largest), 0);
  if (absmax < 1e-30) {
    memory.fill(weights, 0, bytes);
    return 0;
  }
  const factor = min<f32>(LARGEST_WEIGHT / absmax, LARGEST_WEIGHT_SUM / sumF32(sum));
  const f = f32x4.splat(factor), magic = f32x4.splat(MAGIC), sevenBits = i32x4.splat(127);
  for (let n: usize = 0; n < bytes; n += 16) {
    const w = rounded(v128.load(weights + n), f, magic);
    const parts = ASC_FEATURE_RELAXED_SIMD ? i16x8.narrow_i32x4_s(i32x4.shr_u(w, 7), v128.and(w, sevenBits)) : i16x8.narrow_i32x4_s(w, w);
    v128.store64_lane(weights + (n >> 1), ASC_FEATURE_RELAXED_SIMD ? i8x16.narrow_i16x8_u(parts, parts) : parts, 0);
  }
  return 1 / factor;
}

/** a0 b0 a1 b1 .. of the first, or of the last eight bytes of two vectors. */
// @ts-ignore: decorator
@inline
function firstBytes(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
// @ts-ignore: decorator
@inline
function lastBytes(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
/** a0 b0 a1 b1 .. of the first, or of the last four int16 of two vectors. */
// @ts-ignore: decorator
@inline
function firstPairs(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
// @ts-ignore: decorator
@inline
function lastPairs(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

/** 128 high + low, scaled. */
// @ts-ignore: decorator
@inline
function joined(high: v128, low: v128, factor: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.add(i32x4.shl(high, 7), low)), factor);
}

/** out = scale * sum of weights[n] * v[n]: four positions meet in a lane, 16 dimensions at a time. */
// @ts-ignore: decorator
@inline
function mixByDots(weights: usize, list: usize, count: i32, offset: usize, headDim: i32, scale: f32, out: usize): void {
  const end = (<usize>count) << 2;
  const factor = f32x4.splat(scale);
  let i: usize = 0;
  for (; i + 16 <= <usize>headDim; i += 16) {
    let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    const at = offset + i;
    for (let n: usize = 0; n < end; n += 16) {
      const v0 = v128.load(<usize>i32.load(list + n) + at), v1 = v128.load(<usize>i32.load(list + n, 4) + at);
      const v2 = v128.load(<usize>i32.load(list + n, 8) + at), v3 = v128.load(<usize>i32.load(list + n, 12) + at);
      const high = v128.load32_splat(weights + (n >> 1)), low = v128.load32_splat(weights + (n >> 1), 4);
      let x = firstBytes(v0, v1), y = firstBytes(v2, v3), v = firstPairs(x, y);
      a0 = dot(v, high, a0), b0 = dot(v, low, b0), v = lastPairs(x, y);
      a1 = dot(v, high, a1), b1 = dot(v, low, b1);
      x = lastBytes(v0, v1), y = lastBytes(v2, v3), v = firstPairs(x, y);
      a2 = dot(v, high, a2), b2 = dot(v, low, b2), v = lastPairs(x, y);
      a3 = dot(v, high, a3), b3 = dot(v, low, b3);
    }
    const to = out + (i << 2);
    v128.store(to, joined(a0, b0, factor));
    v128.store(to, joined(a1, b1, factor), 16);
    v128.store(to, joined(a2, b2, factor), 32);
    v128.store(to, joined(a3, b3, factor), 48);
  }
  for (; i < <usize>headDim; i++) {
    let o = 0;
    for (let n: usize = 0; n < end; n += 4) {
      const w = weights + ((n & ~15) >> 1) + ((n & 15) >> 2);
      o += ((i32.load8_u(w) << 7) + i32.load8_u(w, 4)) * i32.load8_s(<usize>i32.load(list + n) + offset + i);
    }
    f32.store(out + (i << 2), <f32>o * scale);
  }
}

// @ts-ignore: decorator
@inline
function mixAdd(pair: v128, weights: v128, c: v128): v128 {
  return i32x4.add(c, i32x4.dot_i16x8_s(pair, weights));
}

/** The weighted sum of values, by the plain build's instructions: two positions meet in a lane, 16 dimensions at a time. */
// @ts-ignore: decorator
@inline
function mix(weights: usize, list: usize, count: i32, offset: usize, headDim: i32, scale: f32, out: usize): void {
  const end = (<usize>count) << 2;
  const factor = f32x4.splat(scale);
  let i: usize = 0;
  for (; i + 16 <= <usize>headDim; i += 16) {
    let o0 = i32x4.splat(0), o1 = o0, o2 = o0, o3 = o0;
    const at = offset + i;
    for (let n: usize = 0; n < end; n += 8) {
      const v = <usize>i32.load(list + n) + at, u = <usize>i32.load(list + n, 4) + at;
      const w = v128.load32_splat(weights + (n >> 1));
      let a = v128.load8x8_s(v), b = v128.load8x8_s(u);
      o0 = mixAdd(firstPairs(a, b), w, o0), o1 = mixAdd(lastPairs(a, b), w, o1);
      a = v128.load8x8_s(v, 8), b = v128.load8x8_s(u, 8);
      o2 = mixAdd(firstPairs(a, b), w, o2), o3 = mixAdd(lastPairs(a, b), w, o3);
    }
    const to = out + (i << 2);
    v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(o0), factor));
    v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(o1), factor), 16);
    v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(o2), factor), 32);
    v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(o3), factor), 48);
  }
  for (; i < <usize>headDim; i++) {
    let o = 0;
    for (let n: usize = 0; n < end; n += 4) o += i32.load16_s(weights + (n >> 1)) * i32.load8_s(<usize>i32.load(list + n) + offset + i);
    f32.store(out + (i << 2), <f32>o * scale);
  }
}
