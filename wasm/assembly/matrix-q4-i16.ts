/**
 * y = x W^T for q4 tiles and int8 activations on hosts whose relaxed dot is slow (x86 without AVX-VNNI takes five
 * instructions for it): the two-way dot is one instruction and sums in i16. Eight steps of at most 2 * 127 * 15 stay
 * below 2^15; every 32 columns they are widened. Same integers, same results as matrix-q4-relaxed.ts.
 */
import { MAGIC, scaled } from "./lanes";
import { HEADER_BYTES } from "./quantise";
import { openNextPage } from "./pages";
import { Matrix } from "./records";

export function multiplyQ4I16(m: Matrix, firstTile: i32, tiles: i32, x: usize, rows: i32, y: usize): void {
  const group = m.group, xStride = m.xStride, yStride = m.yStride;
  const groups = m.columns / group;
  const tileBytes = m.tileBytes;
  let w = m.weights + firstTile * tileBytes;
  const weightsEnd = w + <usize>tiles * tileBytes;
  for (; tiles > 0; tiles--, w += tileBytes, y += 64) {
    let xr = x;
    let yr = y;
    let r = rows;
    for (; r >= 4; r -= 4, xr += 4 * xStride, yr += 4 * yStride) {
      halfTileOfFour(w, groups, group, xr, xStride, yr, yStride);
      halfTileOfFour(w + 16, groups, group, xr, xStride, yr + 16, yStride);
    }
    for (; r > 0; r--, xr += xStride, yr += yStride) tileOfOne(w, groups, group, xr, yr, weightsEnd);
  }
}

// @ts-ignore: decorator
@inline
function dot16(a: v128, b: v128): v128 {
  return i16x8.relaxed_dot_i8x16_i7x16_s(a, b);
}

/** sum += the pairs of i16 in `part` */
// @ts-ignore: decorator
@inline
function widen(sum: v128, part: v128): v128 {
  return i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(part));
}

/** Low and high of one row vector (8 rows of W), for four rows of x. `w` and `y` point at the half. 32 columns a turn. */
function halfTileOfFour(w: usize, groups: i32, group: i32, xa: usize, xStride: usize, ya: usize, yStride: usize): void {
  const low = i8x16.splat(15), magic = f32x4.splat(MAGIC);
  const xb = xa + xStride, xc = xb + xStride, xd = xc + xStride;
  const yb = ya + yStride, yc = yb + yStride, yd = yc + yStride;
  let fa = f32x4.splat(0), fb = fa, fc = fa, fd = fa, ga = fa, gb = fa, gc = fa, gd = fa;
  let header: usize = 0;
  let a = xa + groups * HEADER_BYTES, b = a + xStride, c = b + xStride, d = c + xStride;
  for (; groups > 0; groups--, header += HEADER_BYTES, w += 64) {
    let la = v128.load32_splat(xa + header, 8), ha = la;
    let lb = v128.load32_splat(xb + header, 8), hb = lb;
    let lc = v128.load32_splat(xc + header, 8), hc = lc;
    let ld = v128.load32_splat(xd + header, 8), hd = ld;
    for (const end = a + group; a < end; a += 32, b += 32, c += 32, d += 32, w += 256) {
      let v = v128.load(w), n = v128.and(v, low);
      v = v128.and(i16x8.shr_u(v, 4), low);
      let t = v128.load32_splat(a);
      let na = dot16(t, n), va = dot16(t, v);
      t = v128.load32_splat(b);
      let nb = dot16(t, n), vb = dot16(t, v);
      t = v128.load32_splat(c);
      let nc = dot16(t, n), vc = dot16(t, v);
      t = v128.load32_splat(d);
      let nd = dot16(t, n), vd = dot16(t, v);
      v = v128.load(w, 32), n = v128.and(v, low);
      v = v128.and(i16x8.shr_u(v, 4), low);
      t = v128.load32_splat(a, 4), na = i16x8.add(na, dot16(t, n)), va = i16x8.add(va, dot16(t, v));
      t = v128.load32_splat(b, 4), nb = i16x8.add(nb, dot16(t, n)), vb = i16x8.add(vb, dot16(t, v));
      t = v128.load32_splat(c, 4), nc = i16x8.add(nc, dot16(t, n)), vc = i16x8.add(vc, dot16(t, v));
      t = v128.load32_splat(d, 4), nd = i16x8.add(nd, dot16(t, n)), vd = i16x8.add(vd, dot16(t, v));
      v = v128.load(w, 64), n = v128.and(v, low);
      v = v128.and(i16x8.shr_u(v, 4), low);
      t = v128.load32_splat(a, 8), na = i16x8.add(na, dot16(t, n)), va = i16x8.add(va, dot16(t, v));
      t = v128.load32_splat(b, 8), nb = i16x8.add(nb, dot16(t, n)), vb = i16x8.add(vb, dot16(t, v));
      t = v128.load32_splat(c, 8), nc = i16x8.add(nc, dot16(t, n)), vc = i16x8.add(vc, dot16(t, v));
      t = v128.load32_splat(d, 8), nd = i16x8.add(nd, dot16(t, n)), vd = i16x8.add(vd, dot16(t, v));
      v = v128.load(w, 96), n = v128.and(v, low);
      v = v128.and(i16x8.shr_u(v, 4), low);
      t = v128.load32_splat(a, 12), na = i16x8.add(na, dot16(t, n)), va = i16x8.add(va, dot16(t, v));
      t = v128.load32_splat(b, 12), nb = i16x8.add(nb, dot16(t, n)), vb = i16x8.add(vb, dot16(t, v));
      t = v128.load32_splat(c, 12), nc = i16x8.add(nc, dot16(t, n)), vc = i16x8.add(vc, dot16(t, v));
      t = v128.load32_splat(d, 12), nd = i16x8.add(nd, dot16(t, n)), vd = i16x8.add(vd, dot16(t, v));
      v = v128.load(w, 128), n = v128.and(v, low);
      v = v128.and(i16x8.shr_u(v, 4), low);
      t = v128.load32_splat(a, 16), na = i16x8.add(na, dot16(t, n)), va = i16x8.add(va, dot16(t, v));
      t = v128.load32_splat(b, 16), nb = i16x8.add(nb, dot16(t, n)), vb = i16x8.add(vb, dot16(t, v));
      t = v128.load32_splat(c, 16), nc = i16x8.add(nc, dot16(t, n)), vc = i16x8.add(vc, dot16(t, v));
      t = v128.load32_splat(d, 16), nd = i16x8.add(nd, dot16(t, n)), vd = i16x8.add(vd, dot16(t, v));
      v = v128.load(w, 160), n = v128.and(v, low);
      v = v128.and(i16x8.shr_u(v, 4), low);
      t = v128.load32_splat(a, 20), na = i16x8.add(na, dot16(t, n)), va = i16x8.add(va, dot16(t, v));
      t = v128.load32_splat(b, 20), nb = i16x8.add(nb, dot16(t, n)), vb = i16x8.add(vb, dot16(t, v));
      t = v128.load32_splat(c, 20), nc = i16x8.add(nc, dot16(t, n)), vc = i16x8.add(vc, dot16(t, v));
      t = v128.load32_splat(d, 20), nd = i16x8.add(nd, dot16(t, n)), vd = i16x8.add(vd, dot16(t, v));
      v = v128.load(w, 192), n = v128.and(v, low);
      v = v128.and(i16x8.shr_u(v, 4), low);
      t = v128.load32_splat(a, 24), na = i16x8.add(na, dot16(t, n)), va = i16x8.add(va, dot16(t, v));
      t = v128.load32_splat(b, 24), nb = i16x8.add(nb, dot16(t, n)), vb = i16x8.add(vb, dot16(t, v));
      t = v128.load32_splat(c, 24), nc = i16x8.add(nc, dot16(t, n)), vc = i16x8.add(vc, dot16(t, v));
      t = v128.load32_splat(d, 24), nd = i16x8.add(nd, dot16(t, n)), vd = i16x8.add(vd, dot16(t, v));
      v = v128.load(w, 224), n = v128.and(v, low);
      v = v128.and(i16x8.shr_u(v, 4), low);
      t = v128.load32_splat(a, 28), na = i16x8.add(na, dot16(t, n)), va = i16x8.add(va, dot16(t, v));
      t = v128.load32_splat(b, 28), nb = i16x8.add(nb, dot16(t, n)), vb = i16x8.add(vb, dot16(t, v));
      t = v128.load32_splat(c, 28), nc = i16x8.add(nc, dot16(t, n)), vc = i16x8.add(vc, dot16(t, v));
      t = v128.load32_splat(d, 28), nd = i16x8.add(nd, dot16(t, n)), vd = i16x8.add(vd, dot16(t, v));
      la = widen(la, na), ha = widen(ha, va);
      lb = widen(lb, nb), hb = widen(hb, vb);
      lc = widen(lc, nc), hc = widen(hc, vc);
      ld = widen(ld, nd), hd = widen(hd, vd);
    }
    const lowScale = v128.load(w), highScale = v128.load(w, 32);
    fa = f32x4.add(fa, scaled(la, magic, v128.load32_splat(xa + header), lowScale)), ga = f32x4.add(ga, scaled(ha, magic, v128.load32_splat(xa + header), highScale));
    fb = f32x4.add(fb, scaled(lb, magic, v128.load32_splat(xb + header), lowScale)), gb = f32x4.add(gb, scaled(hb, magic, v128.load32_splat(xb + header), highScale));
    fc = f32x4.add(fc, scaled(lc, magic, v128.load32_splat(xc + header), lowScale)), gc = f32x4.add(gc, scaled(hc, magic, v128.load32_splat(xc + header), highScale));
    fd = f32x4.add(fd, scaled(ld, magic, v128.load32_splat(xd + header), lowScale)), gd = f32x4.add(gd, scaled(hd, magic, v128.load32_splat(xd + header), highScale));
  }
  v128.store(ya, fa), v128.store(ya, ga, 32);
  v128.store(yb, fb), v128.store(yb, gb, 32);
  v128.store(yc, fc), v128.store(yc, gc, 32);
  v128.store(yd, fd), v128.store(yd, gd, 32);
}

/**
 * 32 columns a turn, written out, loads and masks of both row vectors before their dots: 22 to 23 GB/s of tiles where a loop of
 * 8 columns read 20 to 21 (Zen 4).
 */
function tileOfOne(w: usize, groups: i32, group: i32, x: usize, y: usize, weightsEnd: usize): void {
  const low = i8x16.splat(15), magic = f32x4.splat(MAGIC);
  let f0 = f32x4.splat(0), f1 = f0, f2 = f0, f3 = f0;
  let header = x, page = w;
  let p = x + groups * HEADER_BYTES;
  for (; groups > 0; groups--, header += HEADER_BYTES, w += 64) {
    if (w >= page) page = openNextPage(w, weightsEnd, y);
    let l0 = v128.load32_splat(header, 8), l1 = l0, h0 = l0, h1 = l0;
    for (const end = p + group; p < end; p += 32, w += 256) {
      let t: v128, u: v128, v: v128, c: v128, d: v128, a0: v128, a1: v128, b0: v128, b1: v128;
      v = v128.load(w), u = v128.load(w, 16), t = v128.load32_splat(p);
      c = v128.and(v, low), d = v128.and(u, low), v = i16x8.shr_u(v, 4), u = i16x8.shr_u(u, 4);
      c = dot16(t, c), d = dot16(t, d), v = v128.and(v, low), u = v128.and(u, low), v = dot16(t, v), u = dot16(t, u);
      a0 = c, a1 = d, b0 = v, b1 = u;
      v = v128.load(w, 32), u = v128.load(w, 48), t = v128.load32_splat(p, 4);
      c = v128.and(v, low), d = v128.and(u, low), v = i16x8.shr_u(v, 4), u = i16x8.shr_u(u, 4);
      c = dot16(t, c), d = dot16(t, d), v = v128.and(v, low), u = v128.and(u, low), v = dot16(t, v), u = dot16(t, u);
      a0 = i16x8.add(a0, c), a1 = i16x8.add(a1, d), b0 = i16x8.add(b0, v), b1 = i16x8.add(b1, u);
      v = v128.load(w, 64), u = v128.load(w, 80), t = v128.load32_splat(p, 8);
      c = v128.and(v, low), d = v128.and(u, low), v = i16x8.shr_u(v, 4), u = i16x8.shr_u(u, 4);
      c = dot16(t, c), d = dot16(t, d), v = v128.and(v, low), u = v128.and(u, low), v = dot16(t, v), u = dot16(t, u);
      a0 = i16x8.add(a0, c), a1 = i16x8.add(a1, d), b0 = i16x8.add(b0, v), b1 = i16x8.add(b1, u);
      v = v128.load(w, 96), u = v128.load(w, 112), t = v128.load32_splat(p, 12);
      c = v128.and(v, low), d = v128.and(u, low), v = i16x8.shr_u(v, 4), u = i16x8.shr_u(u, 4);
      c = dot16(t, c), d = dot16(t, d), v = v128.and(v, low), u = v128.and(u, low), v = dot16(t, v), u = dot16(t, u);
      a0 = i16x8.add(a0, c), a1 = i16x8.add(a1, d), b0 = i16x8.add(b0, v), b1 = i16x8.add(b1, u);
      v = v128.load(w, 128), u = v128.load(w, 144), t = v128.load32_splat(p, 16);
      c = v128.and(v, low), d = v128.and(u, low), v = i16x8.shr_u(v, 4), u = i16x8.shr_u(u, 4);
      c = dot16(t, c), d = dot16(t, d), v = v128.and(v, low), u = v128.and(u, low), v = dot16(t, v), u = dot16(t, u);
      a0 = i16x8.add(a0, c), a1 = i16x8.add(a1, d), b0 = i16x8.add(b0, v), b1 = i16x8.add(b1, u);
      v = v128.load(w, 160), u = v128.load(w, 176), t = v128.load32_splat(p, 20);
      c = v128.and(v, low), d = v128.and(u, low), v = i16x8.shr_u(v, 4), u = i16x8.shr_u(u, 4);
      c = dot16(t, c), d = dot16(t, d), v = v128.and(v, low), u = v128.and(u, low), v = dot16(t, v), u = dot16(t, u);
      a0 = i16x8.add(a0, c), a1 = i16x8.add(a1, d), b0 = i16x8.add(b0, v), b1 = i16x8.add(b1, u);
      v = v128.load(w, 192), u = v128.load(w, 208), t = v128.load32_splat(p, 24);
      c = v128.and(v, low), d = v128.and(u, low), v = i16x8.shr_u(v, 4), u = i16x8.shr_u(u, 4);
      c = dot16(t, c), d = dot16(t, d), v = v128.and(v, low), u = v128.and(u, low), v = dot16(t, v), u = dot16(t, u);
      a0 = i16x8.add(a0, c), a1 = i16x8.add(a1, d), b0 = i16x8.add(b0, v), b1 = i16x8.add(b1, u);
      v = v128.load(w, 224), u = v128.load(w, 240), t = v128.load32_splat(p, 28);
      c = v128.and(v, low), d = v128.and(u, low), v = i16x8.shr_u(v, 4), u = i16x8.shr_u(u, 4);
      c = dot16(t, c), d = dot16(t, d), v = v128.and(v, low), u = v128.and(u, low), v = dot16(t, v), u = dot16(t, u);
      a0 = i16x8.add(a0, c), a1 = i16x8.add(a1, d), b0 = i16x8.add(b0, v), b1 = i16x8.add(b1, u);
      l0 = i32x4.add(l0, i32x4.extadd_pairwise_i16x8_s(a0)), l1 = i32x4.add(l1, i32x4.extadd_pairwise_i16x8_s(a1));
      h0 = i32x4.add(h0, i32x4.extadd_pairwise_i16x8_s(b0)), h1 = i32x4.add(h1, i32x4.extadd_pairwise_i16x8_s(b1));
    }
    const scale = v128.load32_splat(header);
    f0 = f32x4.add(f0, scaled(l0, magic, scale, v128.load(w)));
    f1 = f32x4.add(f1, scaled(l1, magic, scale, v128.load(w, 16)));
    f2 = f32x4.add(f2, scaled(h0, magic, scale, v128.load(w, 32)));
    f3 = f32x4.add(f3, scaled(h1, magic, scale, v128.load(w, 48)));
  }
  v128.store(y, f0), v128.store(y, f1, 16), v128.store(y, f2, 32), v128.store(y, f3, 48);
}
