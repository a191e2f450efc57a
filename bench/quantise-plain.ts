/**
 * The quantiser in its plain form, a call a weight: what the fast ones must equal byte for byte, and are measured against.
 */
import { blockBytes, TILE_ROWS, type QuantFormat, type QuantLayout } from "../engine/model/quantised.ts";

const RANGE = { q8: { min: -127, max: 127 }, q4: { min: -8, max: 7 } } as const;
const Q4_SCALE_SHARES = [1, 0.96, 0.92, 0.88, 0.84, 0.8];

/** Quantises tiles as `quantiseTiles` of engine/model/quantise.ts does, a call a weight: the bench's baseline. */
export function plainQuantiseTiles(weights: Float32Array, rows: number, out: Uint8Array, { columns, group, format }: QuantLayout): void {
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  const bytes = blockBytes(format, group);
  const integers = new Int8Array(group);
  out.fill(0);
  for (let row = 0; row < rows; row++)
    for (let g = 0; g < columns / group; g++) {
      const block = (Math.floor(row / TILE_ROWS) * (columns / group) + g) * bytes;
      const at = row * columns + g * group;
      const scale = quantiseGroup(weights.subarray(at, at + group), format, integers);
      for (let k = 0; k < group; k++) putInteger(out, block, format, row % TILE_ROWS, k, integers[k]!);
      view.setFloat32(block + bytes - TILE_ROWS * 4 + (row % TILE_ROWS) * 4, scale, true);
    }
}

/** Byte of element k of a tile row within its block; for q4 the nibble, too. */
function place(format: QuantFormat, row: number, k: number): { byte: number; high: boolean } {
  const lane = (row & 3) * 4 + (k & 3);
  if (format === "q8") return { byte: ((k >> 2) * 4 + (row >> 2)) * 16 + lane, high: false };
  return { byte: ((k >> 2) * 2 + ((row >> 2) & 1)) * 16 + lane, high: row >= 8 };
}

function putInteger(out: Uint8Array, block: number, format: QuantFormat, row: number, k: number, v: number): void {
  const { byte, high } = place(format, row, k);
  if (format === "q8") out[block + byte] = v;
  else out[block + byte]! |= (v + 8) << (high ? 4 : 0);
}

/** Writes the group's integers, returns its scale (f32). */
function quantiseGroup(w: Float32Array, format: QuantFormat, integers: Int8Array): number {
  const { min, max } = RANGE[format];
  let extreme = 0;
  for (const v of w) if (Math.abs(v) > Math.abs(extreme)) extreme = v;
  const plain = format === "q8" ? Math.abs(extreme) / max : extreme / min;
  let best = plain;
  if (format === "q4") {
    let least = Infinity;
    for (const share of Q4_SCALE_SHARES) {
      const error = squaredError(w, plain * share, min, max);
      if (error < least) [least, best] = [error, plain * share];
    }
  }
  const scale = Math.fround(best);
  if (scale === 0) {
    integers.fill(0);
    return 0;
  }
  for (let k = 0; k < w.length; k++) integers[k] = Math.max(min, Math.min(max, Math.round(w[k]! / scale)));
  return scale;
}

function squaredError(w: Float32Array, scale: number, min: number, max: number): number {
  let sum = 0;
  for (const v of w) sum += (v - scale * Math.max(min, Math.min(max, Math.round(v / scale)))) ** 2;
  return sum;
}
