/**
 * How fast this host's relaxed dot is at best. A module of its own, for `fathom bench kernels` alone.
 */

// @ts-ignore: decorator
@inline
function dot(a: v128, b: v128, c: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(a, b, c);
}

/**
 * The ceiling: 12 chains of dots that need no memory, 48 dots (768 multiply-adds) a turn. What a kernel reaches is
 * told as a share of this.
 * @param at 224 bytes of anything; the first 16 are overwritten
 */
export function ceiling(turns: i32, at: usize): void {
  const x = v128.load(at), z = v128.load(at, 16);
  let a0 = v128.load(at, 32), a1 = v128.load(at, 48), a2 = v128.load(at, 64), a3 = v128.load(at, 80);
  let a4 = v128.load(at, 96), a5 = v128.load(at, 112), a6 = v128.load(at, 128), a7 = v128.load(at, 144);
  let a8 = v128.load(at, 160), a9 = v128.load(at, 176), a10 = v128.load(at, 192), a11 = v128.load(at, 208);
  for (; turns > 0; turns--) {
    a0 = dot(x, z, a0), a1 = dot(x, z, a1), a2 = dot(x, z, a2), a3 = dot(x, z, a3), a4 = dot(x, z, a4), a5 = dot(x, z, a5);
    a6 = dot(x, z, a6), a7 = dot(x, z, a7), a8 = dot(x, z, a8), a9 = dot(x, z, a9), a10 = dot(x, z, a10), a11 = dot(x, z, a11);
    a0 = dot(x, z, a0), a1 = dot(x, z, a1), a2 = dot(x, z, a2), a3 = dot(x, z, a3), a4 = dot(x, z, a4), a5 = dot(x, z, a5);
    a6 = dot(x, z, a6), a7 = dot(x, z, a7), a8 = dot(x, z, a8), a9 = dot(x, z, a9), a10 = dot(x, z, a10), a11 = dot(x, z, a11);
    a0 = dot(x, z, a0), a1 = dot(x, z, a1), a2 = dot(x, z, a2), a3 = dot(x, z, a3), a4 = dot(x, z, a4), a5 = dot(x, z, a5);
    a6 = dot(x, z, a6), a7 = dot(x, z, a7), a8 = dot(x, z, a8), a9 = dot(x, z, a9), a10 = dot(x, z, a10), a11 = dot(x, z, a11);
    a0 = dot(x, z, a0), a1 = dot(x, z, a1), a2 = dot(x, z, a2), a3 = dot(x, z, a3), a4 = dot(x, z, a4), a5 = dot(x, z, a5);
    a6 = dot(x, z, a6), a7 = dot(x, z, a7), a8 = dot(x, z, a8), a9 = dot(x, z, a9), a10 = dot(x, z, a10), a11 = dot(x, z, a11);
  }
  a0 = v128.xor(v128.xor(a0, a1), v128.xor(a2, a3));
  a4 = v128.xor(v128.xor(a4, a5), v128.xor(a6, a7));
  a8 = v128.xor(v128.xor(a8, a9), v128.xor(a10, a11));
  v128.store(at, v128.xor(a0, v128.xor(a4, a8)));
}
