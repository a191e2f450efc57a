/**
 * f32 -> little-endian f16, rounded to the nearest, halves to even. Float16Array is younger than the oldest Node served.
 */

/** What a f16 can hold at most; larger magnitudes are cut to it. */
const LARGEST = 65_504;

export function f16Bytes(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(2 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setUint16(2 * i, halfOf(value), true));
  return bytes;
}

function halfOf(value: number): number {
  const magnitude = Math.min(Math.abs(value), LARGEST);
  const sign = value < 0 ? 0x8000 : 0;
  if (magnitude === 0) return sign;
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude)));
  const unit = 2 ** (exponent - 10);
  const steps = roundToEven(magnitude / unit); // 1024 to 2048 where normal; a carry runs over into the exponent
  return sign + ((exponent + 14) << 10) + steps;
}

function roundToEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}
