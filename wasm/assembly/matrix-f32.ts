/**
 * y = x W^T for f32 weights in tiles of 16 rows: [tile][column][16] f32. The 16 lanes of a column lie side by side, so
 * there are no sums across lanes, and every output adds its columns one by one in the same order, whether one row
 * of x passes or many.
 */
import { mulAdd } from "./lanes";
import { openNextPage } from "./pages";
import { Matrix } from "./records";

/**
 * @param tiles  from `firstTile` on
 * @param x      `rows` rows of [columns] f32
 * @param y      `rows` rows of [tiles * 16] f32
 */
export function multiplyF32(m: Matrix, firstTile: i32, tiles: i32, x: usize, rows: i32, y: usize): void {
  const columns = m.columns, xStride = m.xStride, yStride = m.yStride, tileBytes = m.tileBytes;
  let w = m.weights + firstTile * tileBytes;
  const weightsEnd = w + <usize>tiles * tileBytes;
  for (; tiles > 0; tiles--, w += tileBytes, y += 64) {
    let xr = x;
    let yr = y;
    let r = rows;
    for (; r >= 2; r -= 2, xr += 2 * xStride, yr += 2 * yStride) tileOfTwo(w, columns, xr, xStride, yr, yStride);
    if (r > 0) tileOfOne(w, columns, xr, yr, weightsEnd);
  }
}

/** The columns that begin in one page of weights at a time, 64 bytes each. */
function tileOfOne(w: usize, columns: i32, x: usize, y: usize, weightsEnd: usize): void {
  let f0 = f32x4.splat(0), f1 = f0, f2 = f0, f3 = f0;
  for (const end = x + ((<usize>columns) << 2); x < end;) {
    const inPage = x + (((openNextPage(w, weightsEnd, y) - w + 63) >> 6) << 2);
    for (const stop = inPage < end ? inPage : end; x < stop; x += 4, w += 64) {
      const t = v128.load32_splat(x);
      f0 = mulAdd(t, v128.load(w), f0);
      f1 = mulAdd(t, v128.load(w, 16), f1);
      f2 = mulAdd(t, v128.load(w, 32), f2);
      f3 = mulAdd(t, v128.load(w, 48), f3);
    }
  }
  v128.store(y, f0);
  v128.store(y, f1, 16);
  v128.store(y, f2, 32);
  v128.store(y, f3, 48);
}

function tileOfTwo(w: usize, columns: i32, x: usize, xStride: usize, y: usize, yStride: usize): void {
  let f0 = f32x4.splat(0), f1 = f0, f2 = f0, f3 = f0, g0 = f0, g1 = f0, g2 = f0, g3 = f0;
  let x2 = x + xStride;
  for (const end = x + ((<usize>columns) << 2); x < end; x += 4, x2 += 4, w += 64) {
    const t = v128.load32_splat(x);
    const u = v128.load32_splat(x2);
    let v = v128.load(w);
    f0 = mulAdd(t, v, f0);
    g0 = mulAdd(u, v, g0);
    v = v128.load(w, 16);
    f1 = mulAdd(t, v, f1);
    g1 = mulAdd(u, v, g1);
    v = v128.load(w, 32);
    f2 = mulAdd(t, v, f2);
    g2 = mulAdd(u, v, g2);
    v = v128.load(w, 48);
    f3 = mulAdd(t, v, f3);
    g3 = mulAdd(u, v, g3);
  }
  v128.store(y, f0);
  v128.store(y, f1, 16);
  v128.store(y, f2, 32);
  v128.store(y, f3, 48);
  y += yStride;
  v128.store(y, g0);
  v128.store(y, g1, 16);
  v128.store(y, g2, 32);
  v128.store(y, g3, 48);
}
