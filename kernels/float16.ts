/**
 * f32 to f16 bits, nearest, ties to even; too large becomes infinite.
 */
const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

export function f16Bits(value: number): number {
  float[0] = value;
  const sign = (bits[0]! >>> 16) & 0x8000;
  const magnitude = bits[0]! & 0x7fffffff;
  if (magnitude >= 0x47800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (magnitude < 0x38800000) {
    // subnormal: adding 0.5 leaves the rounded fraction in the low bits
    float[0] = Math.abs(value) + 0.5;
    return sign | (bits[0]! - 0x3f000000);
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}
