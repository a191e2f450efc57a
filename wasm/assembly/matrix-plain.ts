/**
 * y = x W^T for q4 and q8 tiles with plain SIMD128: i32x4.dot_i16x8_s on activations as int16, in "pairs" order
 * (quantise.ts). The i16 lane m of a row's four bytes holds columns 0 1 or 2 3; masked to its first byte it meets the
 * activations 0 2, to its second 1 3. So a lane stays one row, and there are no sums across lanes.
 * The integers equal those of the relaxed kernels. x: quantised rows, y: rows of [tiles * 16] f32, strides in bytes.
 */
import { MAGIC, MAGIC_BITS, scaled } from "./lanes";
import { HEADER_BYTES } from "./quantise";
import { openNextPage } from "./pages";
import { Matrix } from "./records";

export function multiplyQ4Pairs(m: Matrix, firstTile: i32, tiles: i32, x: usize, rows: i32, y: usize): void {
  const group = m.group, xStride = m.xStride, yStride = m.yStride;
  const groups = m.columns / group;
  const tileBytes = m.tileBytes;
  let w = m.weights + firstTile * tileBytes;
  for (; tiles > 0; tiles--, w += tileBytes, y += 64) {
    let xr = x;
    let yr = y;
    for (let r = rows; r > 0; r--, xr += xStride, yr += yStride) tileQ4(w, groups, group, xr, yr);
  }
}

export function multiplyQ8Pairs(m: Matrix, firstTile: i32, tiles: i32, x: usize, rows: i32, y: usize): void {
  const group = m.group, xStride = m.xStride, yStride = m.yStride;
  const groups = m.columns / group;
  const tileBytes = m.tileBytes;
  let w = m.weights + firstTile * tileBytes;
  const weightsEnd = w + <usize>tiles * tileBytes;
  for (; tiles > 0; tiles--, w += tileBytes, y += 64) {
    let xr = x;
    let yr = y;
    for (let r = rows; r > 0; r--, xr += xStride, yr += yStride) tileQ8(w, groups, group, xr, yr, weightsEnd);
  }
}

// @ts-ignore: decorator
@inline
function dotAdd(a: v128, b: v128, c: v128): v128 {
  return i32x4.add(c, i32x4.dot_i16x8_s(a, b));
}

// @ts-ignore: decorator
@inline
function accumulate(y: usize, accumulator: v128, magic: v128, scale: v128, weightScale: v128): void {
  v128.store(y, f32x4.add(v128.load(y), scaled(accumulator, magic, scale, weightScale)));
}

/** A tile of q4 times one row. In an i16 lane 4096 n3 + 256 n2 + 16 n1 + n0, n0 and n2 belong to the low rows, n1 and n3 to the high ones. */
function tileQ4(w: usize, groups: i32, group: i32, x: usize, y: usize): void {
  const m0 = i16x8.splat(0x000f), m1 = i16x8.splat(0x00f0), m2 = i16x8.splat(0x0f00), magic = f32x4.splat(MAGIC), zero = f32x4.splat(0);
  v128.store(y, zero), v128.store(y, zero, 16), v128.store(y, zero, 32), v128.store(y, zero, 48);
  let header = x;
  let p = x + groups * HEADER_BYTES;
  for (; groups > 0; groups--, header += HEADER_BYTES, w += 64) {
    // a: n0, b: 16 n1, c: 256 n2, d: n3, for two row vectors
    let a0 = v128.load32_splat(header, 8), b0 = v128.load32_splat(header, 12), c0 = i32x4.splat(0), d0 = c0;
    let a1 = a0, b1 = b0, c1 = c0, d1 = c0;
    for (const end = p + (group << 1); p < end; p += 32, w += 128) {
      let t: v128, u: v128, v: v128;
      t = v128.load32_splat(p), u = v128.load32_splat(p, 4), v = v128.load(w);
      a0 = dotAdd(v128.and(v, m0), t, a0), b0 = dotAdd(v128.and(v, m1), t, b0);
      c0 = dotAdd(v128.and(v, m2), u, c0), d0 = dotAdd(i16x8.shr_u(v, 12), u, d0);
      v = v128.load(w, 16);
      a1 = dotAdd(v128.and(v, m0), t, a1), b1 = dotAdd(v128.and(v, m1), t, b1);
      c1 = dotAdd(v128.and(v, m2), u, c1), d1 = dotAdd(i16x8.shr_u(v, 12), u, d1);
      t = v128.load32_splat(p, 8), u = v128.load32_splat(p, 12), v = v128.load(w, 32);
      a0 = dotAdd(v128.and(v, m0), t, a0), b0 = dotAdd(v128.and(v, m1), t, b0);
      c0 = dotAdd(v128.and(v, m2), u, c0), d0 = dotAdd(i16x8.shr_u(v, 12), u, d0);
      v = v128.load(w, 48);
      a1 = dotAdd(v128.and(v, m0), t, a1), b1 = dotAdd(v128.and(v, m1), t, b1);
      c1 = dotAdd(v128.and(v, m2), u, c1), d1 = dotAdd(i16x8.shr_u(v, 12), u, d1);
      t = v128.load32_splat(p, 16), u = v128.load32_splat(p, 20), v = v128.load(w, 64);
      a0 = dotAdd(v128.and(v, m0), t, a0), b0 = dotAdd(v128.and(v, m1), t, b0);
      c0 = dotAdd(v128.and(v, m2), u, c0), d0 = dotAdd(i16x8.shr_u(v, 12), u, d0);
      v = v128.load(w, 80);
      a1 = dotAdd(v128.and(v, m0), t, a1), b1 = dotAdd(v128.and(v, m1), t, b1);
      c1 = dotAdd(v128.and(v, m2), u, c1), d1 = dotAdd(i16x8.shr_u(v, 12), u, d1);
      t = v128.load32_splat(p, 24), u = v128.load32_splat(p, 28), v = v128.load(w, 96);
      a0 = dotAdd(v128.and(v, m0), t, a0), b0 = dotAdd(v128.and(v, m1), t, b0);
      c0 = dotAdd(v128.and(v, m2), u, c0), d0 = dotAdd(i16x8.shr_u(v, 12), u, d0);
      v = v128.load(w, 112);
      a1 = dotAdd(v128.and(v, m0), t, a1), b1 = dotAdd(v128.and(v, m1), t, b1);
      c1 = dotAdd(v128.and(v, m2), u, c1), d1 = dotAdd(i16x8.shr_u(v, 12), u, d1);
    }
    let scale = v128.load32_splat(header);
    accumulate(y, i32x4.add(a0, i32x4.shr_s(c0, 8)), magic, scale, v128.load(w));
    accumulate(y + 16, i32x4.add(a1, i32x4.shr_s(c1, 8)), magic, scale, v128.load(w, 16));
    scale = v128.load32_splat(header, 4);
    accumulate(y + 32, i32x4.add(b0, i32x4.shl(d0, 4)), magic, scale, v128.load(w, 32));
    accumulate(y + 48, i32x4.add(b1, i32x4.shl(d1, 4)), magic, scale, v128.load(w, 48));
  }
}

/** 256 times a lane's first and second byte, times x; shifted back at the group's end. */
// @ts-ignore: decorator
@inline
function dotQ8(v: v128, high: v128, t: v128, u: v128, c: v128): v128 {
  return dotAdd(i16x8.shl(v, 8), t, dotAdd(v128.and(v, high), u, c));
}

function tileQ8(w: usize, groups: i32, group: i32, x: usize, y: usize, weightsEnd: usize): void {
  const high = i16x8.splat(-256), magic = f32x4.splat(MAGIC), magicBits = i32x4.splat(MAGIC_BITS);
  let f0 = f32x4.splat(0), f1 = f0, f2 = f0, f3 = f0;
  let header = x, page = w;
  let p = x + groups * HEADER_BYTES;
  for (; groups > 0; groups--, header += HEADER_BYTES, w += 64) {
    if (w >= page) page = openNextPage(w, weightsEnd, y);
    let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
    for (const end = p + (group << 1); p < end; p += 32, w += 256) {
      let t: v128, u: v128;
      t = v128.load32_splat(p), u = v128.load32_splat(p, 4);
      a0 = dotQ8(v128.load(w), high, t, u, a0), a1 = dotQ8(v128.load(w, 16), high, t, u, a1);
      a2 = dotQ8(v128.load(w, 32), high, t, u, a2), a3 = dotQ8(v128.load(w, 48), high, t, u, a3);
      t = v128.load32_splat(p, 8), u = v128.load32_splat(p, 12);
      a0 = dotQ8(v128.load(w, 64), high, t, u, a0), a1 = dotQ8(v128.load(w, 80), high, t, u, a1);
      a2 = dotQ8(v128.load(w, 96), high, t, u, a2), a3 = dotQ8(v128.load(w, 112), high, t, u, a3);
      t = v128.load32_splat(p, 16), u = v128.load32_splat(p, 20);
      a0 = dotQ8(v128.load(w, 128), high, t, u, a0), a1 = dotQ8(v128.load(w, 144), high, t, u, a1);
      a2 = dotQ8(v128.load(w, 160), high, t, u, a2), a3 = dotQ8(v128.load(w, 176), high, t, u, a3);
      t = v128.load32_splat(p, 24), u = v128.load32_splat(p, 28);
      a0 = dotQ8(v128.load(w, 192), high, t, u, a0), a1 = dotQ8(v128.load(w, 208), high, t, u, a1);
      a2 = dotQ8(v128.load(w, 224), high, t, u, a2), a3 = dotQ8(v128.load(w, 240), high, t, u, a3);
    }
    const scale = v128.load32_splat(header);
    f0 = f32x4.add(f0, scaled(i32x4.add(magicBits, i32x4.shr_s(a0, 8)), magic, scale, v128.load(w)));
    f1 = f32x4.add(f1, scaled(i32x4.add(magicBits, i32x4.shr_s(a1, 8)), magic, scale, v128.load(w, 16)));
    f2 = f32x4.add(f2, scaled(i32x4.add(magicBits, i32x4.shr_s(a2, 8)), magic, scale, v128.load(w, 32)));
    f3 = f32x4.add(f3, scaled(i32x4.add(magicBits, i32x4.shr_s(a3, 8)), magic, scale, v128.load(w, 48)));
  }
  v128.store(y, f0), v128.store(y, f1, 16), v128.store(y, f2, 32), v128.store(y, f3, 48);
}
