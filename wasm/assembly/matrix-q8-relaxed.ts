/**
 * y = x W^T for q8 tiles and int8 activations, with relaxed_dot (see matrix-q4-relaxed.ts for T, starts and MAGIC).
 * Weights are the second operand; where the host reads it as u8 they are flipped to weight + 128, whose surplus the
 * header's start takes back. x: rows of quantised activations, y: rows of [tiles * 16] f32, strides in bytes.
 */
import { MAGIC, scaled } from "./lanes";
import { HEADER_BYTES } from "./quantise";
import { Matrix } from "./records";

export function multiplyQ8U8(m: Matrix, firstTile: i32, tiles: i32, x: usize, rows: i32, y: usize): void {
  multiply<u8>(m.weights + firstTile * m.tileBytes, tiles, m.columns, m.group, x, m.xStride, rows, y, m.yStride);
}

export function multiplyQ8I8(m: Matrix, firstTile: i32, tiles: i32, x: usize, rows: i32, y: usize): void {
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
  const tileBytes = <usize>groups * (((<usize>group) << 4) + 64);
  for (; tiles > 0; tiles--, w += tileBytes, y += 64) {
    let xr = x;
    let yr = y;
    let r = rows;
    for (; r >= 5; r -= 5, xr += 5 * xStride, yr += 5 * yStride) {
      halfTileOfFive<T>(w, w + (group << 4), groups, group, xr, xStride, yr, yStride);
      halfTileOfFive<T>(w + 32, w + (group << 4) + 32, groups, group, xr, xStride, yr + 32, yStride);
    }
    for (; r > 0; r--, xr += xStride, yr += yStride) tilesOfOne<T>(w, 1, groups, group, xr, yr);
  }
}

// @ts-ignore: decorator
@inline
function dot(x: v128, w: v128, c: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, c);
}

/** 16 weights as the host's dot reads a second operand. `flip` is -128 in every byte. */
// @ts-ignore: decorator
@inline
function second<T>(w: v128, flip: v128): v128 {
  return isSigned<T>() ? w : v128.xor(w, flip);
}

/** Eight chains: four row vectors, even and odd columns apart. 32 columns a turn, written out. */
function tilesOfOne<T>(w: usize, tiles: i32, groups: i32, group: i32, x: usize, y: usize): void {
  const magic = f32x4.splat(MAGIC), flip = i8x16.splat(-128);
  for (; tiles > 0; tiles--, y += 64) {
    let f0 = f32x4.splat(0), f1 = f0, f2 = f0, f3 = f0;
    let header = x;
    let p = x + groups * HEADER_BYTES;
    for (let g = groups; g > 0; g--, header += HEADER_BYTES, w += 64) {
      let a0 = v128.load32_splat(header, 8), a1 = a0, a2 = a0, a3 = a0;
      let b0 = i32x4.splat(0), b1 = b0, b2 = b0, b3 = b0;
      for (const end = p + group; p < end; p += 32, w += 512) {
        let t: v128;
        t = v128.load32_splat(p), a0 = dot(t, second<T>(v128.load(w), flip), a0), a1 = dot(t, second<T>(v128.load(w, 16), flip), a1);
        a2 = dot(t, second<T>(v128.load(w, 32), flip), a2), a3 = dot(t, second<T>(v128.load(w, 48), flip), a3);
        t = v128.load32_splat(p, 4), b0 = dot(t, second<T>(v128.load(w, 64), flip), b0), b1 = dot(t, second<T>(v128.load(w, 80), flip), b1);
        b2 = dot(t, second<T>(v128.load(w, 96), flip), b2), b3 = dot(t, second<T>(v128.load(w, 112), flip), b3);
        t = v128.load32_splat(p, 8), a0 = dot(t, second<T>(v128.load(w, 128), flip), a0), a1 = dot(t, second<T>(v128.load(w, 144), flip), a1);
        a2 = dot(t, second<T>(v128.load(w, 160), flip), a2), a3 = dot(t, second<T>(v128.load(w, 176), flip), a3);
        t = v128.load32_splat(p, 12), b0 = dot(t, second<T>(v128.load(w, 192), flip), b0), b1 = dot(t, second<T>(v128.load(w, 208), flip), b1);
        b2 = dot(t, second<T>(v128.load(w, 224), flip), b2), b3 = dot(t, second<T>(v128.load(w, 240), flip), b3);
        t = v128.load32_splat(p, 16), a0 = dot(t, second<T>(v128.load(w, 256), flip), a0), a1 = dot(t, second<T>(v128.load(w, 272), flip), a1);
        a2 = dot(t, second<T>(v128.load(w, 288), flip), a2), a3 = dot(t, second<T>(v128.load(w, 304), flip), a3);
        t = v128.load32_splat(p, 20), b0 = dot(t, second<T>(v128.load(w, 320), flip), b0), b1 = dot(t, second<T>(v128.load(w, 336), flip), b1);
        b2 = dot(t, second<T>(v128.load(w, 352), flip), b2), b3 = dot(t, second<T>(v128.load(w, 368), flip), b3);
        t = v128.load32_splat(p, 24), a0 = dot(t, second<T>(v128.load(w, 384), flip), a0), a1 = dot(t, second<T>(v128.load(w, 400), flip), a1);
        a2 = dot(t, second<T>(v128.load(w, 416), flip), a2), a3 = dot(t, second<T>(v128.load(w, 432), flip), a3);
        t = v128.load32_splat(p, 28), b0 = dot(t, second<T>(v128.load(w, 448), flip), b0), b1 = dot(t, second<T>(v128.load(w, 464), flip), b1);
        b2 = dot(t, second<T>(v128.load(w, 480), flip), b2), b3 = dot(t, second<T>(v128.load(w, 496), flip), b3);
      }
      const scale = v128.load32_splat(header);
      f0 = f32x4.add(f0, scaled(i32x4.add(a0, b0), magic, scale, v128.load(w)));
      f1 = f32x4.add(f1, scaled(i32x4.add(a1, b1), magic, scale, v128.load(w, 16)));
      f2 = f32x4.add(f2, scaled(i32x4.add(a2, b2), magic, scale, v128.load(w, 32)));
      f3 = f32x4.add(f3, scaled(i32x4.add(a3, b3), magic, scale, v128.load(w, 48)));
    }
    v128.store(y, f0), v128.store(y, f1, 16), v128.store(y, f2, 32), v128.store(y, f3, 48);
  }
}

/** A group's end for one row of x. The sums lie in memory: the dots need the registers. */
// @ts-ignore: decorator
@inline
function finish(y: usize, header: usize, a0: v128, a1: v128, magic: v128, scale0: v128, scale1: v128): void {
  const scale = v128.load32_splat(header);
  v128.store(y, f32x4.add(v128.load(y), scaled(a0, magic, scale, scale0)));
  v128.store(y, f32x4.add(v128.load(y, 16), scaled(a1, magic, scale, scale1)), 16);
}

/** Ten chains: two row vectors (8 rows of W), for five rows of x. `w`, `scales` and `y` point at the half. */
function halfTileOfFive<T>(w: usize, scales: usize, groups: i32, group: i32, xa: usize, xStride: usize, ya: usize, yStride: usize): void {
  const magic = f32x4.splat(MAGIC), zero = f32x4.splat(0), flip = i8x16.splat(-128);
  const xb = xa + xStride, xc = xb + xStride, xd = xc + xStride, xe = xd + xStride;
  const yb = ya + yStride, yc = yb + yStride, yd = yc + yStride, ye = yd + yStride;
  v128.store(ya, zero), v128.store(yb, zero), v128.store(yc, zero), v128.store(yd, zero), v128.store(ye, zero);
  v128.store(ya, zero, 16), v128.store(yb, zero, 16), v128.store(yc, zero, 16), v128.store(yd, zero, 16), v128.store(ye, zero, 16);
  let header: usize = 0;
  let a = xa + groups * HEADER_BYTES, b = a + xStride, c = b + xStride, d = c + xStride, e = d + xStride;
  for (; groups > 0; groups--, header += HEADER_BYTES, w += 64, scales += (group << 4) + 64) {
    let a0 = v128.load32_splat(xa + header, 8), a1 = a0, b0 = v128.load32_splat(xb + header, 8), b1 = b0;
    let c0 = v128.load32_splat(xc + header, 8), c1 = c0, d0 = v128.load32_splat(xd + header, 8), d1 = d0;
    let e0 = v128.load32_splat(xe + header, 8), e1 = e0;
    for (const end = a + group; a < end; a += 4, b += 4, c += 4, d += 4, e += 4, w += 64) {
      let v = v128.load(w), n = v128.load(w, 16);
      v = second<T>(v, flip), n = second<T>(n, flip);
      let t = v128.load32_splat(a);
      a0 = dot(t, v, a0), a1 = dot(t, n, a1);
      t = v128.load32_splat(b), b0 = dot(t, v, b0), b1 = dot(t, n, b1);
      t = v128.load32_splat(c), c0 = dot(t, v, c0), c1 = dot(t, n, c1);
      t = v128.load32_splat(d), d0 = dot(t, v, d0), d1 = dot(t, n, d1);
      t = v128.load32_splat(e), e0 = dot(t, v, e0), e1 = dot(t, n, e1);
    }
    const scale0 = v128.load(scales), scale1 = v128.load(scales, 16);
    finish(ya, xa + header, a0, a1, magic, scale0, scale1);
    finish(yb, xb + header, b0, b1, magic, scale0, scale1);
    finish(yc, xc + header, c0, c1, magic, scale0, scale1);
    finish(yd, xd + header, d0, d1, magic, scale0, scale1);
    finish(ye, xe + header, e0, e1, magic, scale0, scale1);
  }
}
