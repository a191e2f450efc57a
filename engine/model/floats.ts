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
      const out = new Float32Array((chunk.length + (carry >= 0 ? 1 : 0)) >> 1);
      let n = 0;
      for (const byte of chunk) {
        if (carry < 0) carry = byte;
        else {
          out[n++] = widen((byte << 8) | carry);
          carry = -1;
        }
      }
      to.write(new Uint8Array(out.buffer));
    },
    done: () => to.done(),
  };
}

const bits = new DataView(new ArrayBuffer(4));

function bf16ToF32(half: number): number {
  bits.setUint32(0, half << 16);
  return bits.getFloat32(0);
}

function f16ToF32(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * 2 ** -24 * fraction;
  return sign * 2 ** (exponent - 25) * (1024 + fraction);
}
