/**
 * F16 and BF16 bytes -> little-endian f32 bytes, in a stream. Widening is exact.
 */
import type { TensorWriter } from "./safetensors.ts";

/** Wraps a writer of f32 so that it accepts half-width floats, in chunks that may split an element. */
export function floatsToF32(dtype: "F16" | "BF16", to: TensorWriter): TensorWriter {
  const widen = dtype === "F16" ? f16ToF32 : bf16ToF32;
  let carry = -1; // low byte of an element whose high byte has not arrived
  return {
    write(chunk) {
      const out = new Uint32Array((chunk.length + (carry >= 0 ? 1 : 0)) >> 1);
      let at = 0;
      let n = 0;
      if (carry >= 0 && chunk.length > 0) {
        out[n++] = widen((chunk[at++]! << 8) | carry);
        carry = -1;
      }
      for (; at + 1 < chunk.length; at += 2) out[n++] = widen((chunk[at + 1]! << 8) | chunk[at]!);
      if (at < chunk.length) carry = chunk[at]!;
      if (n > 0) to.write(new Uint8Array(out.buffer));
    },
    done: () => to.done(),
  };
}

function bf16ToF32(half: number): number {
  return half << 16;
}

/** The bits of the f32 of the same value; subnormal halves are normal there. */
function f16ToF32(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const top = 31 - Math.clz32(fraction);
  return sign | ((top + 103) << 23) | ((fraction << (23 - top)) & 0x7fffff);
}
