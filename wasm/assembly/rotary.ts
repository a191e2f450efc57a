/**
 * q and k after their matrix: learned bias, rotary position, and k and v into the cache. A row of y is q [heads], then
 * k, then v [kvHeads], headDim f32 each. Cache entries: see wasm/sequence.ts.
 */
import { MAGIC, MAGIC_BITS } from "./lanes";
import { ROW_BYTES, rowAngles, rowEntry, rowQuery } from "./rows";

/** One head of k on its way to int8, [1024] f32: headDim is at most that (wasm/sequence.ts). */
const HEAD: usize = memory.data(4096, 16);

/** (a, b) -> (a cos - b sin, b cos + a sin) over pairs (2j, 2j + 1), or (j, j + headDim / 2). bias 0 = none. */
function rotateHead(source: usize, bias: usize, angles: usize, headDim: i32, interleaved: bool, out: usize): void {
  const halfBytes = <usize>headDim << 1;
  const step: usize = interleaved ? 8 : 4;
  const partner: usize = interleaved ? 4 : halfBytes;
  for (let j: usize = 0; j < halfBytes; j += 4, source += step, out += step) {
    const cos = f32.load(angles + j);
    const sin = f32.load(angles + halfBytes + j);
    let a = f32.load(source);
    let b = f32.load(source + partner);
    if (bias != 0) {
      a += f32.load(bias);
      b += f32.load(bias + partner);
      bias += step;
    }
    f32.store(out, a * cos - b * sin);
    f32.store(out + partner, b * cos + a * sin);
  }
}

/** Writes [headDim] int8 and their scale. */
function storeInt8(source: usize, headDim: i32, out: usize, scaleAt: usize): void {
  let absmax: f32 = 0;
  for (let i = 0; i < headDim; i++) absmax = max(absmax, abs(f32.load(source + (<usize>i << 2))));
  if (absmax < 1e-30) absmax = 0;
  const inverse: f32 = absmax == 0 ? 0 : 127 / absmax;
  f32.store(scaleAt, absmax / 127);
  for (let i = 0; i < headDim; i++) {
    const rounded = reinterpret<i32>(f32.load(source + (<usize>i << 2)) * inverse + MAGIC) - MAGIC_BITS;
    i32.store8(out + i, rounded);
  }
}

/** @param bias q's then k's bias, [heads + kvHeads] heads of f32; 0 = none */
export function storeRows(table: usize, rows: i32, y: usize, yStride: usize, heads: i32, kvHeads: i32, headDim: i32, interleaved: bool, bias: usize, valueOffset: usize): void {
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

/** Likewise into int8 entries: [kvHeads * headDim] int8, then at `scaleOffset` [kvHeads] f32; v likewise. */
export function storeRowsInt8(table: usize, rows: i32, y: usize, yStride: usize, heads: i32, kvHeads: i32, headDim: i32, interleaved: bool, bias: usize, valueOffset: usize, scaleOffset: usize): void {
  const headBytes = <usize>headDim << 2;
  for (; rows > 0; rows--, table += ROW_BYTES, y += yStride) {
    const key = rotateQueries(table, y, heads, headDim, interleaved, bias);
    const keyBias = bias == 0 ? 0 : bias + heads * headBytes;
    const value = key + kvHeads * headBytes;
    const entry = rowEntry(table);
    for (let h: usize = 0; h < <usize>kvHeads; h++) {
      rotateHead(key + h * headBytes, keyBias == 0 ? 0 : keyBias + h * headBytes, rowAngles(table), headDim, interleaved, HEAD);
      storeInt8(HEAD, headDim, entry + h * headDim, entry + scaleOffset + (h << 2));
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
