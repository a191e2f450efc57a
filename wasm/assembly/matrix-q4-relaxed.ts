/**
 * y = x W^T for q4 tiles (engine/model/quantised.ts) and int8 activations, with relaxed_dot: 16 multiply-adds an
 * instruction where the host has one for it. The integers are exact and so the same on every path.
 *
 * A byte of W holds 16 high + low, two rows of one column. A dot product with the whole byte and one with the low
 * nibble give both rows without a shift: high = (whole - low) / 16. The whole byte has its top bit set, which hosts read
 * in two ways; T says which: u8 as it stands, i8 as byte - 256, so there the byte is flipped to byte - 128.
 * Accumulators start at the header's starts (quantise.ts), and at MAGIC_BITS, so that as floats they read
 * MAGIC + integer: one subtraction instead of a conversion, on a port that the dots do not need.
 *
 * x: rows of quantised activations, y: rows of [tiles * 16] f32, strides in bytes.
 */
import { MAGIC, scaled } from "./lanes";
import { HEADER_BYTES } from "./quantise";
import { Matrix } from "./records";

export function multiplyQ4U8(m: Matrix, firstTile: i32, tiles: i32, x: usize, rows: i32, y: usize): void {
  multiply<u8>(m.weights + firstTile * m.tileBytes, tiles, m.columns, m.group, x, m.xStride, rows, y, m.yStride);
}

export function multiplyQ4I8(m: Matrix, firstTile: i32, tiles: i32, x: usize, rows: i32, y: usize): void {
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

// @ts-ignore: decorator
@inline
export function dot(a: v128, b: v128, c: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(a, b, c);
}

/** Bytes of W as the host's dot can read them whole. `flip` is -128 in every byte. */
// @ts-ignore: decorator
@inline
export function whole<T>(v: v128, flip: v128): v128 {
  return isSigned<T>() ? v128.xor(v, flip) : v;
}

/**
 * Eight chains: low and whole of two row vectors, even and odd columns apart. 64 columns a turn, written out: with a
 * loop of 16 columns the same instructions reached 67 % of the ceiling instead of 77 % (Golden Cove).
 */
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
      let l0 = v128.load32_splat(header, 8), l1 = l0, h0 = v128.load32_splat(header, 12), h1 = h0;
      let k0 = i32x4.splat(0), k1 = k0, i0 = k0, i1 = k0;
      for (const end = p + group; p < end; p += 64, w += 512) {
        let t: v128, v: v128;
        t = v128.load32_splat(p), v = v128.load(w), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 16), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.load32_splat(p, 4), v = v128.load(w, 32), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 48), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        t = v128.load32_splat(p, 8), v = v128.load(w, 64), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 80), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.load32_splat(p, 12), v = v128.load(w, 96), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 112), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        t = v128.load32_splat(p, 16), v = v128.load(w, 128), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 144), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.load32_splat(p, 20), v = v128.load(w, 160), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 176), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        t = v128.load32_splat(p, 24), v = v128.load(w, 192), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 208), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.load32_splat(p, 28), v = v128.load(w, 224), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 240), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        t = v128.load32_splat(p, 32), v = v128.load(w, 256), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 272), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.load32_splat(p, 36), v = v128.load(w, 288), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 304), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        t = v128.load32_splat(p, 40), v = v128.load(w, 320), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 336), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.load32_splat(p, 44), v = v128.load(w, 352), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 368), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        t = v128.load32_splat(p, 48), v = v128.load(w, 384), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 400), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.load32_splat(p, 52), v = v128.load(w, 416), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 432), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
        t = v128.load32_splat(p, 56), v = v128.load(w, 448), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
        v = v128.load(w, 464), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
        t = v128.load32_splat(p, 60), v = v128.load(w, 480), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
        v = v128.load(w, 496), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
      }
      l0 = i32x4.add(l0, k0), l1 = i32x4.add(l1, k1);
      h0 = i32x4.sub(i32x4.add(h0, i0), l0), h1 = i32x4.sub(i32x4.add(h1, i1), l1);
      let scale = v128.load32_splat(header);
      f0 = f32x4.add(f0, scaled(l0, magic, scale, v128.load(w)));
      f1 = f32x4.add(f1, scaled(l1, magic, scale, v128.load(w, 16)));
      scale = v128.load32_splat(header, 4);
      f2 = f32x4.add(f2, scaled(h0, magic, scale, v128.load(w, 32)));
      f3 = f32x4.add(f3, scaled(h1, magic, scale, v128.load(w, 48)));
    }
    v128.store(y, f0), v128.store(y, f1, 16), v128.store(y, f2, 32), v128.store(y, f3, 48);
  }
}

/** Tiles times one row, for groups of 32. */
export function tilesOfOneBy32<T>(w: usize, tiles: i32, groups: i32, x: usize, y: usize): void {
  const low = i8x16.splat(15), flip = i8x16.splat(-128), magic = f32x4.splat(MAGIC);
  for (; tiles > 0; tiles--, y += 64) {
    let f0 = f32x4.splat(0), f1 = f0, f2 = f0, f3 = f0;
    let header = x;
    let p = x + groups * HEADER_BYTES;
    for (let g = groups; g > 0; g--, header += HEADER_BYTES, p += 32, w += 320) {
      let l0 = v128.load32_splat(header, 8), l1 = l0, h0 = v128.load32_splat(header, 12), h1 = h0;
      let k0 = i32x4.splat(0), k1 = k0, i0 = k0, i1 = k0, t: v128, v: v128;
      t = v128.load32_splat(p), v = v128.load(w), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
      v = v128.load(w, 16), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
      t = v128.load32_splat(p, 4), v = v128.load(w, 32), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
      v = v128.load(w, 48), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
      t = v128.load32_splat(p, 8), v = v128.load(w, 64), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
      v = v128.load(w, 80), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
      t = v128.load32_splat(p, 12), v = v128.load(w, 96), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
      v = v128.load(w, 112), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
      t = v128.load32_splat(p, 16), v = v128.load(w, 128), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
      v = v128.load(w, 144), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
      t = v128.load32_splat(p, 20), v = v128.load(w, 160), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
      v = v128.load(w, 176), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
      t = v128.load32_splat(p, 24), v = v128.load(w, 192), h0 = dot(t, whole<T>(v, flip), h0), l0 = dot(t, v128.and(v, low), l0);
      v = v128.load(w, 208), h1 = dot(t, whole<T>(v, flip), h1), l1 = dot(t, v128.and(v, low), l1);
      t = v128.load32_splat(p, 28), v = v128.load(w, 224), i0 = dot(t, whole<T>(v, flip), i0), k0 = dot(t, v128.and(v, low), k0);
      v = v128.load(w, 240), i1 = dot(t, whole<T>(v, flip), i1), k1 = dot(t, v128.and(v, low), k1);
      l0 = i32x4.add(l0, k0), l1 = i32x4.add(l1, k1);
      h0 = i32x4.sub(i32x4.add(h0, i0), l0), h1 = i32x4.sub(i32x4.add(h1, i1), l1);
      let scale = v128.load32_splat(header);
      f0 = f32x4.add(f0, scaled(l0, magic, scale, v128.load(w, 256)));
      f1 = f32x4.add(f1, scaled(l1, magic, scale, v128.load(w, 272)));
      scale = v128.load32_splat(header, 4);
      f2 = f32x4.add(f2, scaled(h0, magic, scale, v128.load(w, 288)));
      f3 = f32x4.add(f3, scaled(h1, magic, scale, v128.load(w, 304)));
    }
    v128.store(y, f0), v128.store(y, f1, 16), v128.store(y, f2, 32), v128.store(y, f3, 48);
  }
}

/** y's vector at `at` += the group's part. The sums lie in memory: the dots need the registers. */
// @ts-ignore: decorator
@inline
function accumulate(at: usize, part: v128): void {
  v128.store(at, f32x4.add(v128.load(at), part));
}

/** A group's end for one row of x: the low rows of y at `y`, the high ones 32 bytes on. */
// @ts-ignore: decorator
@inline
function finish(y: usize, header: usize, low: v128, both: v128, magic: v128, lowScale: v128, highScale: v128): void {
  accumulate(y, scaled(low, magic, v128.load32_splat(header), lowScale));
  accumulate(y + 32, scaled(i32x4.sub(both, low), magic, v128.load32_splat(header, 4), highScale));
}

/** Ten chains: low and whole of one row vector (8 rows of W), for five rows of x. `w` and `y` point at the half. */
export function halfTileOfFive<T>(w: usize, groups: i32, group: i32, xa: usize, xStride: usize, ya: usize, yStride: usize): void {
  const low = i8x16.splat(15), flip = i8x16.splat(-128), magic = f32x4.splat(MAGIC), zero = f32x4.splat(0);
  const xb = xa + xStride, xc = xb + xStride, xd = xc + xStride, xe = xd + xStride;
  const yb = ya + yStride, yc = yb + yStride, yd = yc + yStride, ye = yd + yStride;
  v128.store(ya, zero), v128.store(yb, zero), v128.store(yc, zero), v128.store(yd, zero), v128.store(ye, zero);
  v128.store(ya, zero, 32), v128.store(yb, zero, 32), v128.store(yc, zero, 32), v128.store(yd, zero, 32), v128.store(ye, zero, 32);
  let header: usize = 0;
  let a = xa + groups * HEADER_BYTES, b = a + xStride, c = b + xStride, d = c + xStride, e = d + xStride;
  for (; groups > 0; groups--, header += HEADER_BYTES, w += 64) {
    let la = v128.load32_splat(xa + header, 8), ha = v128.load32_splat(xa + header, 12);
    let lb = v128.load32_splat(xb + header, 8), hb = v128.load32_splat(xb + header, 12);
    let lc = v128.load32_splat(xc + header, 8), hc = v128.load32_splat(xc + header, 12);
    let ld = v128.load32_splat(xd + header, 8), hd = v128.load32_splat(xd + header, 12);
    let le = v128.load32_splat(xe + header, 8), he = v128.load32_splat(xe + header, 12);
    for (const end = a + group; a < end; a += 8, b += 8, c += 8, d += 8, e += 8, w += 64) {
      let v = v128.load(w), n = v128.and(v, low);
      v = whole<T>(v, flip);
      let t = v128.load32_splat(a);
      la = dot(t, n, la), ha = dot(t, v, ha);
      t = v128.load32_splat(b), lb = dot(t, n, lb), hb = dot(t, v, hb);
      t = v128.load32_splat(c), lc = dot(t, n, lc), hc = dot(t, v, hc);
      t = v128.load32_splat(d), ld = dot(t, n, ld), hd = dot(t, v, hd);
      t = v128.load32_splat(e), le = dot(t, n, le), he = dot(t, v, he);
      v = v128.load(w, 32), n = v128.and(v, low), v = whole<T>(v, flip);
      t = v128.load32_splat(a, 4), la = dot(t, n, la), ha = dot(t, v, ha);
      t = v128.load32_splat(b, 4), lb = dot(t, n, lb), hb = dot(t, v, hb);
      t = v128.load32_splat(c, 4), lc = dot(t, n, lc), hc = dot(t, v, hc);
      t = v128.load32_splat(d, 4), ld = dot(t, n, ld), hd = dot(t, v, hd);
      t = v128.load32_splat(e, 4), le = dot(t, n, le), he = dot(t, v, he);
    }
    const lowScale = v128.load(w), highScale = v128.load(w, 32);
    finish(ya, xa + header, la, ha, magic, lowScale, highScale);
    finish(yb, xb + header, lb, hb, magic, lowScale, highScale);
    finish(yc, xc + header, lc, hc, magic, lowScale, highScale);
    finish(yd, xd + header, ld, hd, magic, lowScale, highScale);
    finish(ye, xe + header, le, he, magic, lowScale, highScale);
  }
}
