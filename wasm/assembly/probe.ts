/**
 * How this host's relaxed dot reads bytes with the top bit set.
 */

/** One lane of relaxed_dot(a, b, 0) with a and b in every byte. (-127, 200): -101600 = u8, 28448 = i8, else slow. */
export function probeDot(a: i32, b: i32): i32 {
  return i32x4.extract_lane(
    i32x4.relaxed_dot_i8x16_i7x16_add_s(i8x16.splat(<i8>a), i8x16.splat(<i8>b), i32x4.splat(0)),
    0,
  );
}
