/**
 * What the exit rules read of states and attention, and the largest logits.
 */
import { mulAdd, sumF32 } from "./lanes";
import { ROW_BYTES, rowCount, rowStrongest, rowX } from "./rows";

/**
 * Writes four f32 for each row of the table: what has changed from the state last measured, `toMeasured` bytes after x, to x,
 * which is then the state last measured.
 */
export function measureRows(table: usize, rows: i32, toMeasured: usize, width: i32, out: usize): void {
  for (; rows > 0; rows--, table += ROW_BYTES, out += 16) measureChange(rowX(table), rowX(table) + toMeasured, width, out);
}

/** out = { ||a - b||^2, ||a||^2, ||b||^2, a . b } of [width] f32, as four f32; then b = a. */
function measureChange(a: usize, b: usize, width: i32, out: usize): void {
  let distance = f32x4.splat(0), norm = distance, previous = distance, dot = distance;
  let i: usize = 0;
  for (const vectors = <usize>(width & ~3) << 2; i < vectors; i += 16) {
    const x = v128.load(a + i), y = v128.load(b + i), d = f32x4.sub(x, y);
    distance = mulAdd(d, d, distance);
    norm = mulAdd(x, x, norm);
    previous = mulAdd(y, y, previous);
    dot = mulAdd(x, y, dot);
  }
  let distanceSum = sumF32(distance), normSum = sumF32(norm), previousSum = sumF32(previous), dotSum = sumF32(dot);
  const bytes = <usize>width << 2;
  for (; i < bytes; i += 4) {
    const x = f32.load(a + i), y = f32.load(b + i);
    distanceSum += (x - y) * (x - y);
    normSum += x * x;
    previousSum += y * y;
    dotSum += x * y;
  }
  f32.store(out, distanceSum);
  f32.store(out, normSum, 4);
  f32.store(out, previousSum, 8);
  f32.store(out, dotSum, 12);
  memory.copy(b, a, bytes);
}

/** out[row] = what presses on it: its strongest attention weights . `moved`, over its count of positions. */
export function pressRows(table: usize, rows: i32, moved: usize, out: usize): void {
  for (; rows > 0; rows--, table += ROW_BYTES, out += 4) f32.store(out, dot(rowStrongest(table), moved, rowCount(table)));
}

function dot(a: usize, b: usize, count: i32): f32 {
  let sums = f32x4.splat(0);
  let n: usize = 0;
  const bytes = <usize>count << 2;
  for (const vectors = bytes & ~15; n < vectors; n += 16) sums = mulAdd(v128.load(a + n), v128.load(b + n), sums);
  let sum = sumF32(sums);
  for (; n < bytes; n += 4) sum += f32.load(a + n) * f32.load(b + n);
  return sum;
}

/**
 * Keeps the largest of `count` logits and of what `best` holds: { value f32, index i32 }. Of equals the first stays; a
 * NaN stays, whatever comes after it.
 * @param base index of the first logit
 */
export function keepLargest(logits: usize, count: i32, base: i32, best: usize): void {
  let value = f32.load(best);
  let index = i32.load(best, 4);
  let n = 0;
  for (; n + 16 <= count; n += 16) {
    const p = logits + (<usize>n << 2);
    const limit = f32x4.splat(value);
    const within = v128.and(
      v128.and(f32x4.le(v128.load(p), limit), f32x4.le(v128.load(p, 16), limit)),
      v128.and(f32x4.le(v128.load(p, 32), limit), f32x4.le(v128.load(p, 48), limit)),
    );
    if (i32x4.all_true(within)) continue;
    for (let i = n; i < n + 16; i++) {
      const v = f32.load(logits + (<usize>i << 2));
      if (v > value || v != v) (value = v), (index = base + i);
    }
  }
  for (; n < count; n++) {
    const v = f32.load(logits + (<usize>n << 2));
    if (v > value || v != v) (value = v), (index = base + n);
  }
  f32.store(best, value);
  i32.store(best, index, 4);
}
