/**
 * Float matrices as the kernels read them: tiles of 16 rows, neighbouring rows in neighbouring words.
 * f32: [columns][16]; f16: [columns / 2][16] words of two columns. Quantised tiles: engine/model/quantised.ts.
 */
import { TILE_ROWS } from "../engine/model/quantised.ts";
import type { TensorWriter } from "../engine/model/safetensors.ts";
import { f16Bits } from "./float16.ts";

/** How float matrices are kept: as they are, or at half the bytes and 11 bits of precision. */
export type FloatFormat = "f32" | "f16";

export function floatTileBytes(floats: FloatFormat, columns: number): number {
  return TILE_ROWS * (floats === "f32" ? 4 * columns : 4 * Math.ceil(columns / 2));
}

/** Collects 16 rows at a time, row-major f32, and writes them as a tile. The last tile is padded with zeros. */
export function tileWriter(
  columns: number,
  floats: FloatFormat,
  write: (offset: number, tile: Float32Array | Uint32Array) => void,
): TensorWriter {
  const stripe = new Float32Array(TILE_ROWS * columns);
  const bytes = new Uint8Array(stripe.buffer);
  let filled = 0;
  let tile = 0;
  const flush = (): void => {
    bytes.fill(0, filled);
    const words = floats === "f32" ? f32Tile(stripe, columns) : f16Tile(stripe, columns);
    write(tile * words.byteLength, words);
    tile++;
    filled = 0;
  };
  return {
    write(chunk) {
      for (let at = 0; at < chunk.length;) {
        const n = Math.min(chunk.length - at, bytes.length - filled);
        bytes.set(chunk.subarray(at, at + n), filled);
        at += n;
        filled += n;
        if (filled === bytes.length) flush();
      }
    },
    done: () => void (filled > 0 && flush()),
  };
}

function f32Tile(stripe: Float32Array, columns: number): Float32Array {
  const tile = new Float32Array(stripe.length);
  for (let r = 0; r < TILE_ROWS; r++) for (let c = 0; c < columns; c++) tile[c * TILE_ROWS + r] = stripe[r * columns + c]!;
  return tile;
}

function f16Tile(stripe: Float32Array, columns: number): Uint32Array {
  const tile = new Uint32Array(TILE_ROWS * Math.ceil(columns / 2));
  for (let r = 0; r < TILE_ROWS; r++)
    for (let c = 0; c < columns; c++) tile[(c >> 1) * TILE_ROWS + r]! |= f16Bits(stripe[r * columns + c]!) << (c & 1 ? 16 : 0);
  return tile;
}
