/**
 * Attention of rows over f32 cache entries that may lie anywhere: a row's list names them (rows.ts), so positions may
 * be missing, or read from another iteration's slot. Query head h reads kv head floor(h * kvHeads / heads).
 */
import { exp, maxOfLanes, mulAdd, sumEach, sumF32 } from "./lanes";
import { Block } from "./records";
import { ROW_BYTES, rowCount, rowList, rowQuery, rowShift, rowStrongest } from "./rows";

/**
 * @param scores  scratch, as many f32 as the longest list, padded to four
 * @param out     rows of [heads * headDim] f32, `outStride` bytes apart
 */
export function attendRows(block: Block, table: usize, rows: i32, scores: usize, out: usize, outStride: usize): void {
  const heads = block.heads, kvHeads = block.kvHeads, headDim = block.headDim, scale = block.scale, valueOffset = block.valueOffset;
  const headBytes = <usize>headDim << 2;
  for (; rows > 0; rows--, table += ROW_BYTES, out += outStride) {
    const list = rowList(table);
    const count = rowCount(table);
    for (let h = 0; h < heads; h++) {
      const key = rowShift(table) + <usize>((h * kvHeads) / heads) * headBytes;
      scoreAll(rowQuery(table) + h * headBytes, list, count, key, headDim, scale, scores);
      const inverse = softmax(scores, count);
      keepStrongest(scores, count, inverse, rowStrongest(table));
      mix(scores, list, count, key + valueOffset, headDim, inverse, out + h * headBytes);
    }
  }
}

/** scores[n] = q . k[n] * scale, four entries at a time. */
// @ts-ignore: decorator
@inline
function scoreAll(query: usize, list: usize, count: i32, offset: usize, headDim: i32, scale: f32, scores: usize): void {
  const vectors = <usize>(headDim & ~3) << 2;
  const bytes = <usize>headDim << 2;
  for (let n: usize = 0; n < <usize>count << 2; n += 16) {
    const k0 = <usize>i32.load(list + n) + offset, k1 = <usize>i32.load(list + n, 4) + offset;
    const k2 = <usize>i32.load(list + n, 8) + offset, k3 = <usize>i32.load(list + n, 12) + offset;
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let i: usize = 0;
    for (; i < vectors; i += 16) {
      const q = v128.load(query + i);
      s0 = mulAdd(q, v128.load(k0 + i), s0);
      s1 = mulAdd(q, v128.load(k1 + i), s1);
      s2 = mulAdd(q, v128.load(k2 + i), s2);
      s3 = mulAdd(q, v128.load(k3 + i), s3);
    }
    let s = sumEach(s0, s1, s2, s3);
    for (; i < bytes; i += 4) {
      const q = f32.load(query + i);
      s = f32x4.add(s, f32x4.mul(f32x4.splat(q), f32x4.replace_lane(f32x4.replace_lane(f32x4.replace_lane(f32x4.splat(f32.load(k0 + i)), 1, f32.load(k1 + i)), 2, f32.load(k2 + i)), 3, f32.load(k3 + i))));
    }
    v128.store(scores + n, f32x4.mul(s, f32x4.splat(scale)));
  }
}

/** scores[n] = e^(scores[n] - largest); returns 1 / their sum. Entries past `count`, up to four, are overwritten. */
// @ts-ignore: decorator
@inline
export function softmax(scores: usize, count: i32): f32 {
  const end = scores + (<usize>count << 2);
  for (let p = end; p & 15; p += 4) f32.store(p, -Infinity);
  let largest = f32x4.splat(-Infinity);
  for (let p = scores; p < end; p += 16) largest = f32x4.pmax(largest, v128.load(p));
  const shift = maxOfLanes(largest);
  let sum = f32x4.splat(0);
  for (let p = scores; p < end; p += 16) {
    const e = exp(f32x4.sub(v128.load(p), shift));
    v128.store(p, e);
    sum = f32x4.add(sum, e);
  }
  return 1 / sumF32(sum);
}

/** Zeroes what rows have kept of their attention, over their counts of positions; rows that keep none stay as they are. */
export function forgetStrongest(table: usize, rows: i32): void {
  for (; rows > 0; rows--, table += ROW_BYTES) if (rowStrongest(table) != 0) memory.fill(rowStrongest(table), 0, <usize>rowCount(table) << 2);
}

/** strongest[n] = max(strongest[n], weights[n] * inverse), unless it is kept nowhere. */
// @ts-ignore: decorator
@inline
export function keepStrongest(weights: usize, count: i32, inverse: f32, strongest: usize): void {
  if (strongest == 0) return;
  const inv = f32x4.splat(inverse);
  for (const end = weights + (<usize>count << 2); weights < end; weights += 16, strongest += 16)
    v128.store(strongest, f32x4.max(v128.load(strongest), f32x4.mul(v128.load(weights), inv)));
}

/** out = inverse * sum of weights[n] * v[n], 32 dimensions at a time. */
// @ts-ignore: decorator
@inline
function mix(weights: usize, list: usize, count: i32, offset: usize, headDim: i32, inverse: f32, out: usize): void {
  const bytes = <usize>headDim << 2;
  const listEnd = <usize>count << 2;
  const inv = f32x4.splat(inverse);
  let i: usize = 0;
  for (; i + 128 <= bytes; i += 128) {
    let o0 = f32x4.splat(0), o1 = o0, o2 = o0, o3 = o0, o4 = o0, o5 = o0, o6 = o0, o7 = o0;
    for (let n: usize = 0; n < listEnd; n += 4) {
      const v = <usize>i32.load(list + n) + offset + i;
      const p = v128.load32_splat(weights + n);
      o0 = mulAdd(p, v128.load(v), o0);
      o1 = mulAdd(p, v128.load(v, 16), o1);
      o2 = mulAdd(p, v128.load(v, 32), o2);
      o3 = mulAdd(p, v128.load(v, 48), o3);
      o4 = mulAdd(p, v128.load(v, 64), o4);
      o5 = mulAdd(p, v128.load(v, 80), o5);
      o6 = mulAdd(p, v128.load(v, 96), o6);
      o7 = mulAdd(p, v128.load(v, 112), o7);
    }
    v128.store(out + i, f32x4.mul(o0, inv));
    v128.store(out + i, f32x4.mul(o1, inv), 16);
    v128.store(out + i, f32x4.mul(o2, inv), 32);
    v128.store(out + i, f32x4.mul(o3, inv), 48);
    v128.store(out + i, f32x4.mul(o4, inv), 64);
    v128.store(out + i, f32x4.mul(o5, inv), 80);
    v128.store(out + i, f32x4.mul(o6, inv), 96);
    v128.store(out + i, f32x4.mul(o7, inv), 112);
  }
  for (; i + 16 <= bytes; i += 16) {
    let o = f32x4.splat(0);
    for (let n: usize = 0; n < listEnd; n += 4) o = mulAdd(v128.load32_splat(weights + n), v128.load(<usize>i32.load(list + n) + offset + i), o);
    v128.store(out + i, f32x4.mul(o, inv));
  }
  for (; i < bytes; i += 4) {
    let o: f32 = 0;
    for (let n: usize = 0; n < listEnd; n += 4) o += f32.load(weights + n) * f32.load(<usize>i32.load(list + n) + offset + i);
    f32.store(out + i, o * inverse);
  }
}
