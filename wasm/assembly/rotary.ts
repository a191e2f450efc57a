/**
 * q and k after their matrix: learned bias, rotary position, and k and v into the cache. A row of y is q [heads], then
 * k, then v [kvHeads], headDim f32 each. Cache entries: see wasm/sequence.ts.
 */
import { MAGIC, MAGIC_BITS, magnitudeBits, maxOfMagnitudes, sumOfLanesI32 } from "./lanes";
import { Block } from "./records";
import { ROW_BYTES, rowAngles, rowEntry, rowQuery } from "./rows";

/** One head of k on its way to int8, [512] f32: headDim is at most that (wasm/sequence.ts). */
const HEAD: usize = memory.data(2048, 16);

/** Flips the sign of a pair's first element. */
const FIRST_SIGN: usize = memory.data<u32>([0x80000000, 0, 0x80000000, 0], 16);

/** (a, b) -> (a cos - b sin, b cos + a sin) over pairs (2j, 2j + 1), or (j, j + headDim / 2). bias 0 = none. */
function rotateHead(source: usize, bias: usize, angles: usize, headDim: i32, interleaved: bool, out: usize): void {
  const halfBytes = <usize>headDim << 1;
  const whole = interleaved ? halfBytes & ~7 : halfBytes & ~15;
  let j: usize = 0;
  if (interleaved)
    for (; j < whole; j += 8) {
      let x = v128.load(source + (j << 1));
      if (bias != 0) x = f32x4.add(x, v128.load(bias + (j << 1)));
      const cos = v128.load64_zero(angles + j), sin = v128.load64_zero(angles + halfBytes + j);
      const turned = f32x4.mul(v128.shuffle<f32>(x, x, 1, 0, 3, 2), v128.xor(v128.shuffle<f32>(sin, sin, 0, 0, 1, 1), v128.load(FIRST_SIGN)));
      v128.store(out + (j << 1), f32x4.add(f32x4.mul(x, v128.shuffle<f32>(cos, cos, 0, 0, 1, 1)), turned));
    }
  else
    for (; j < whole; j += 16) {
      let a = v128.load(source + j), b = v128.load(source + halfBytes + j);
      if (bias != 0) (a = f32x4.add(a, v128.load(bias + j))), (b = f32x4.add(b, v128.load(bias + halfBytes + j)));
      const cos = v128.load(angles + j), sin = v128.load(angles + halfBytes + j);
      v128.store(out + j, f32x4.sub(f32x4.mul(a, cos), f32x4.mul(b, sin)));
      v128.store(out + halfBytes + j, f32x4.add(f32x4.mul(b, cos), f32x4.mul(a, sin)));
    }
  for (; j < halfBytes; j += 4) {
    const first = interleaved ? j << 1 : j;
    const second = interleaved ? first + 4 : first + halfBytes;
    const cos = f32.load(angles + j), sin = f32.load(angles + halfBytes + j);
    let a = f32.load(source + first), b = f32.load(source + second);
    if (bias != 0) (a += f32.load(bias + first)), (b += f32.load(bias + second));
    f32.store(out + first, a * cos - b * sin);
    f32.store(out + second, b * cos + a * sin);
  }
}

/** Writes [headDim] int8 and at `scaleAt` their scale; returns their sum. */
function storeInt8(source: usize, headDim: i32, out: usize, scaleAt: usize): i32 {
  const bytes = <usize>headDim << 2;
  const whole = bytes & ~15;
  const magnitude = magnitudeBits();
  let largest = f32x4.splat(0);
  let i: usize = 0;
  for (; i < whole; i += 16) largest = i32x4.max_s(largest, v128.and(v128.load(source + i), magnitude));
  for (; i < bytes; i += 4) largest = i32x4.max_s(largest, v128.and(v128.load32_splat(source + i), magnitude));
  let absmax = f32x4.extract_lane(maxOfMagnitudes(largest), 0);
  if (absmax < 1e-30) absmax = 0;
  const inverse = f32x4.splat(absmax == 0 ? 0 : 127 / absmax), magic = f32x4.splat(MAGIC), magicBits = i32x4.splat(MAGIC_BITS);
  f32.store(scaleAt, absmax / 127);
  let sums = i32x4.splat(0);
  for (i = 0; i < whole; i += 16) {
    const v = i32x4.sub(f32x4.add(f32x4.mul(v128.load(source + i), inverse), magic), magicBits);
    sums = i32x4.add(sums, v);
    const narrow = i16x8.narrow_i32x4_s(v, v);
    v128.store32_lane(out + (i >> 2), i8x16.narrow_i16x8_s(narrow, narrow), 0);
  }
  let sum = i32x4.extract_lane(sumOfLanesI32(sums), 0);
  for (; i < bytes; i += 4) {
    const v = i32x4.extract_lane(i32x4.sub(f32x4.add(f32x4.mul(v128.load32_splat(source + i), inverse), magic), magicBits), 0);
    i32.store8(out + (i >> 2), v);
    sum += v;
  }
  return sum;
}

/**
 * @param heads  of q in y; 0 where y begins with k
 * @param bias   q's then k's bias, [heads + kvHeads] heads of f32; 0 = none
 */
export function storeRows(block: Block, table: usize, rows: i32, y: usize, yStride: usize, heads: i32, bias: usize): void {
  const kvHeads = block.kvHeads, headDim = block.headDim, interleaved = block.interleaved != 0;
  const valueOffset = block.valueOffset;
  const headBytes = <usize>headDim << 2;
  for (; rows > 0; rows--, table += ROW_BYTES, y += yStride) {
    const key = rotateQueries(table, y, heads, headDim, interleaved, bias);
    const keyBias = bias == 0 ? 0 : bias + heads * headBytes;
    const entry = rowEntry(table);
    for (let h: usize = 0; h < <usize>kvHeads; h++)
      rotateHead(key + h * headBytes, keyBias == 0 ? 0 : keyBias + h * headBytes, rowAngles(table), headDim, interleaved, entry + h * headBytes);
    memory.copy(entry + valueOffset, key + kvHeads * headBytes, kvHeads * headBytes);
  }
}

/**
 * Rotates and stores rows into int8 entries: k as [kvHeads * headDim] int8, then at `scaleOffset` [kvHeads] of
 * { scale f32, sum of the integers i32 }; v as [kvHeads * headDim] int8, then [kvHeads] f32.
 */
export function storeRowsInt8(block: Block, table: usize, rows: i32, y: usize, yStride: usize, heads: i32, bias: usize): void {
  const kvHeads = block.kvHeads, headDim = block.headDim, interleaved = block.interleaved != 0;
  const valueOffset = block.valueOffset, scaleOffset = block.scaleOffset;
  const headBytes = <usize>headDim << 2;
  for (; rows > 0; rows--, table += ROW_BYTES, y += yStride) {
    const key = rotateQueries(table, y, heads, headDim, interleaved, bias);
    const keyBias = bias == 0 ? 0 : bias + heads * headBytes;
    const value = key + kvHeads * headBytes;
    const entry = rowEntry(table);
    for (let h: usize = 0; h < <usize>kvHeads; h++) {
      rotateHead(key + h * headBytes, keyBias == 0 ? 0 : keyBias + h * headBytes, rowAngles(table), headDim, interleaved, HEAD);
      const scaleAt = entry + scaleOffset + (h << 3);
      i32.store(scaleAt, storeInt8(HEAD, headDim, entry + h * headDim, scaleAt), 4);
      const v = entry + valueOffset;
      storeInt8(value + h * headBytes, headDim, v + h * headDim, v + scaleOffset + (h << 2));
    }
  }
}

/** Rotates q into the row's query buffer; returns where k begins. */
// @ts-ignore: decorator
@inline
function rotateQueries(table: usize, y: usize, heads: i32, headDim: i32, interleaved: bool, bias: usize): usize {
  const headBytes = <usize>headDim << 2;
  const query = rowQuery(table);
  for (let h: usize = 0; h < <usize>heads; h++)
    rotateHead(y + h * headBytes, bias == 0 ? 0 : bias + h * headBytes, rowAngles(table), headDim, interleaved, query + h * headBytes);
  return y + heads * headBytes;
}
