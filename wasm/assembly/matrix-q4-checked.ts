/**
 * The one-row q4 product for hosts that check the bounds of every memory access in code (workerd; V8 without its trap
 * handler), where a load costs three more instructions: activations come 16 bytes at a time and are spread by shuffles.
 * 65 % of the ceiling there instead of 53 %; where the pages guard the memory, 67 % instead of 77 % (Golden Cove).
 * Same integers, same results as matrix-q4-relaxed.ts, which also has the rest.
 */
import { MAGIC, scaled } from "./lanes";
import { dot, halfTileOfFive, tilesOfOneBy32, whole } from "./matrix-q4-relaxed";
import { HEADER_BYTES } from "./quantise";
import { Matrix } from "./records";

export function multiplyQ4U8Checked(m: Matrix, firstTile: i32, tiles: i32, x: usize, rows: i32, y: usize): void {
  multiply<u8>(m.weights + firstTile * m.tileBytes, tiles, m.columns, m.group, x, m.xStride, rows, y, m.yStride);
}

export function multiplyQ4I8Checked(m: Matrix, firstTile: i32, tiles: i32, x: usize, rows: i32, y: usize): void {
  multiply<i8>(m.weights + firstTile * m.tileBytes, tiles, m.columns, m.group, x, m.xStride, rows, y, m.yStride);
}

// @ts-ignore: decorator
@inline
function multiply<T>(w: usize, tiles: i32, columns: i32, group: i32, x: usize, xStride: usize, rows: i32, y: usize, yStride: usize): void {
  const groups = columns / group;
  if (rows == 1) {
    tilesOfOne<T>(w, tiles, groups, group, x, y);
    return;
  }
  const tileBytes = <usize>groups * (((<usize>group) << 3) + 64);
  for (; tiles > 0; tiles--, w += tileBytes, y += 64) {
    let xr = x;
    let yr = y;
    let r = rows;
    for (; r >= 5; r -= 5, xr += 5 * xStride, yr += 5 * yStride) {
      halfTileOfFive<T>(w, groups, group, xr, xStride, yr, yStride);
      halfTileOfFive<T>(w + 16, groups, group, xr, xStride, yr + 16, yStride);
    }
    for (; r > 0; r--, xr += xStride, yr += yStride) tilesOfOne<T>(w, 1, groups, group, xr, yr);
  }
}

/** Eight chains: low and whole of two row vectors, even and odd columns apart. 64 columns a turn. */
function tilesOfOne<T>(w: usize, tiles: i32, groups: i32, group: i32, x: usize, y: usize): void {
  if (group & 63) {
    tilesOfOneBy32<T>(w, tiles, groups, x, y);
    return;
  }
  const low = i8x16.splat(15), flip = i8x16.splat(-128), magic = f32x4.splat(MAGIC);
  for (; tiles > 0; tiles--, y += 64) {
    let f0 = f32x4.splat(0), f1 = f0, f2 = f0, f3 = f0;
    let header = x;
    let p = x + groups * HEADER_BYTES;
    for (let g = groups; g > 0; g--, header += HEADER_BYTES, w += 64) {
      const head = v128.load(header);
      let l0 = v128.shuffle<i32>(head, head, 2, 2, 2, 2), l1 = l0, h0 = v128.shuffle<i32>(head, head, 3, 3, 3, 3), h1 = h0;
      let k0 = i32x4.splat(0), k1 = k0, i0 = k0, i1 = k0;
      for (const end = p + group; p < end; p += 64, w += 512) {
        let c: v128, t: v128, v: v128;
        c = v128.load(p);
        t = v128.shuffle<i32>(c, c, 0, 0, 0, 0), v = v128.load(w), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 16), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.shuffle<i32>(c, c, 1, 1, 1, 1), v = v128.load(w, 32), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 48), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        t = v128.shuffle<i32>(c, c, 2, 2, 2, 2), v = v128.load(w, 64), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 80), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.shuffle<i32>(c, c, 3, 3, 3, 3), v = v128.load(w, 96), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 112), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        c = v128.load(p, 16);
        t = v128.shuffle<i32>(c, c, 0, 0, 0, 0), v = v128.load(w, 128), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 144), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.shuffle<i32>(c, c, 1, 1, 1, 1), v = v128.load(w, 160), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 176), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        t = v128.shuffle<i32>(c, c, 2, 2, 2, 2), v = v128.load(w, 192), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 208), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.shuffle<i32>(c, c, 3, 3, 3, 3), v = v128.load(w, 224), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 240), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        c = v128.load(p, 32);
        t = v128.shuffle<i32>(c, c, 0, 0, 0, 0), v = v128.load(w, 256), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 272), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.shuffle<i32>(c, c, 1, 1, 1, 1), v = v128.load(w, 288), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 304), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        t = v128.shuffle<i32>(c, c, 2, 2, 2, 2), v = v128.load(w, 320), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 336), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.shuffle<i32>(c, c, 3, 3, 3, 3), v = v128.load(w, 352), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 368), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        c = v128.load(p, 48);
        t = v128.shuffle<i32>(c, c, 0, 0, 0, 0), v = v128.load(w, 384), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 400), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.shuffle<i32>(c, c, 1, 1, 1, 1), v = v128.load(w, 416), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 432), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        t = v128.shuffle<i32>(c, c, 2, 2, 2, 2), v = v128.load(w, 448), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 464), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.shuffle<i32>(c, c, 3, 3, 3, 3), v = v128.load(w, 480), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 496), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
      }
      l0 = i32x4.add(l0, k0), l1 = i32x4.add(l1, k1);
      h0 = i32x4.sub(i32x4.add(h0, i0), l0), h1 = i32x4.sub(i32x4.add(h1, i1), l1);
      let scale = v128.shuffle<f32>(head, head, 0, 0, 0, 0);
      f0 = f32x4.add(f0, scaled(l0, magic, scale, v128.load(w)));
      f1 = f32x4.add(f1, scaled(l1, magic, scale, v128.load(w, 16)));
      scale = v128.shuffle<f32>(head, head, 1, 1, 1, 1);
      f2 = f32x4.add(f2, scaled(h0, magic, scale, v128.load(w, 32)));
      f3 = f32x4.add(f3, scaled(h1, magic, scale, v128.load(w, 48)));
    }
    v128.store(y, f0), v128.store(y, f1, 16), v128.store(y, f2, 32), v128.store(y, f3, 48);
  }
}
