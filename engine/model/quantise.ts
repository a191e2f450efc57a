/**
 * Quantisation of f32 weights into the tiles of quantised.ts: the arithmetic, and nothing of files. Doubles throughout, in
 * a fixed order, so that the same weights give the same bytes everywhere; no allocation and no call a weight.
 */
import { blockBytes, checkLayout, quantisedBytes, TILE_ROWS, type QuantLayout } from "./quantised.ts";

/** Largest magnitude of the stored integers: q8 symmetric, q4 has one more on the negative side. */
const Q8_MAX = 127;
const Q4_MIN = -8;
const Q4_MAX = 7;

/** Scales tried for q4, as a share of the plain one: the best cuts the squared error of normal weights by about 15 %. */
const Q4_SCALE_SHARES = [1, 0.96, 0.92, 0.88, 0.84, 0.8] as const;

/** How tiles are made; hosts may have faster ways to the same bytes. */
export type QuantiseTiles = (weights: Float32Array, rows: number, out: Uint8Array, layout: QuantLayout) => void;

/**
 * Quantises whole tiles.
 * @param weights [rows, columns], row-major
 * @param rows    up to a multiple of 16; rows that the last tile lacks become zeros
 * @param out     as many tiles, overwritten
 */
export function quantiseTiles(weights: Float32Array, rows: number, out: Uint8Array, { format, columns, group }: QuantLayout): void {
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  const bytes = blockBytes(format, group);
  const groups = columns / group;
  const write = format === "q8" ? quantiseQ8 : quantiseQ4;
  out.fill(0);
  for (let row = 0; row < rows; row++) {
    const r = row % TILE_ROWS;
    const tile = ((row / TILE_ROWS) | 0) * groups;
    for (let g = 0; g < groups; g++) {
      const block = (tile + g) * bytes;
      const scale = write(weights, row * columns + g * group, group, out, block, r);
      view.setFloat32(block + bytes - TILE_ROWS * 4 + r * 4, scale, true);
    }
  }
}

/** Quantises W [rows, columns] f32, row-major. @throws {FathomError} invalid_request where groups do not divide the columns */
export function quantise(weights: Float32Array, layout: QuantLayout, name = "matrix"): Uint8Array<ArrayBuffer> {
  checkLayout(layout, name);
  const out = new Uint8Array(quantisedBytes(layout));
  quantiseTiles(weights, layout.rows, out, layout);
  return out;
}

/** The weight of largest magnitude, with its sign; the first of equals. */
function extremeOf(w: Float32Array, at: number, end: number): number {
  let extreme = 0;
  let magnitude = 0;
  for (let i = at; i < end; i++) {
    const v = w[i]!;
    const size = v < 0 ? -v : v;
    if (size > magnitude) {
      extreme = v;
      magnitude = size;
    }
  }
  return extreme;
}

/** Writes the integers of a group of row `r` of a tile; returns their scale (f32). */
function quantiseQ8(w: Float32Array, at: number, group: number, out: Uint8Array, block: number, r: number): number {
  const scale = Math.fround(Math.abs(extremeOf(w, at, at + group)) / Q8_MAX);
  if (scale === 0) return 0; // or too small for a float
  const base = block + (r >> 2) * 16 + (r & 3) * 4;
  for (let k = 0; k < group; k++) {
    const n = Math.round(w[at + k]! / scale);
    out[base + (k >> 2) * 64 + (k & 3)] = n < -Q8_MAX ? -Q8_MAX : n > Q8_MAX ? Q8_MAX : n;
  }
  return scale;
}

/** Quantises a group of one row to nibbles: rows 0 to 7 of a tile in the low ones. */
function quantiseQ4(w: Float32Array, at: number, group: number, out: Uint8Array, block: number, r: number): number {
  const extreme = extremeOf(w, at, at + group);
  const base = block + ((r >> 2) & 1) * 16 + (r & 3) * 4;
  const shift = r >= 8 ? 4 : 0;
  // the extreme weight takes the longer, negative side, whatever its sign
  const scale = extreme === 0 ? 0 : Math.fround(bestQ4Scale(w, at, at + group, extreme / Q4_MIN));
  for (let k = 0; k < group; k++) {
    const n = scale === 0 ? 0 : Math.round(w[at + k]! / scale);
    out[base + (k >> 2) * 32 + (k & 3)]! |= ((n < Q4_MIN ? Q4_MIN : n > Q4_MAX ? Q4_MAX : n) + 8) << shift;
  }
  return scale === 0 ? 0 : scale; // never -0
}

/** The share of the plain scale with the least squared error. */
function bestQ4Scale(w: Float32Array, at: number, end: number, plain: number): number {
  let least = Infinity;
  let best = plain;
  for (let i = 0; i < Q4_SCALE_SHARES.length; i++) {
    const scale = plain * Q4_SCALE_SHARES[i]!;
    const error = squaredErrorQ4(w, at, end, scale);
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  return best;
}

/** Added and taken away again, it rounds a double of small magnitude to a whole number. */
const ROUNDS = 3 * 2 ** 51;
/** Rest above which a quotient is so near to a half that only the exact one says where `Math.round` goes. */
const ALMOST_HALF = 0.4999999;

function squaredErrorQ4(w: Float32Array, at: number, end: number, scale: number): number {
  const inverse = 1 / scale;
  let sum = 0;
  for (let i = at; i < end; i++) {
    const v = w[i]!;
    const q = v * inverse;
    let n = q + ROUNDS - ROUNDS;
    const rest = q - n;
    if (rest > ALMOST_HALF || rest < -ALMOST_HALF) n = Math.round(v / scale);
    if (n > Q4_MAX) n = Q4_MAX;
    else if (n < Q4_MIN) n = Q4_MIN;
    const error = v - scale * n;
    sum += error * error;
  }
  return sum;
}
