/**
 * A matrix in GPU memory. One whose bytes pass the largest buffer that the device binds lies in several, cut between tiles
 * of 16 rows; a product over it is a dispatch for each. Every output is summed as it is in one piece.
 */
/// <reference types="@webgpu/types" />
import type { MatrixLayout } from "../engine/model/checkpoint.ts";
import { quantisedBytes, TILE_ROWS } from "../engine/model/quantised.ts";
import { FathomError } from "../engine/errors.ts";
import type { Device } from "./device.ts";
import { floatTileBytes, type FloatFormat } from "./tiles.ts";

export type WeightType = "f32" | "f16" | "q8" | "q4";

/** Rows of a matrix that lie in one buffer. */
export interface MatrixPart {
  readonly buffer: GPUBuffer;
  /** First word in it. */
  readonly at: number;
  /** First row, a multiple of 16, and the row behind the last. */
  readonly from: number;
  readonly to: number;
}

/** y = x W^T in tiles of 16 rows. f32: [tiles][columns][16]; f16: [tiles][columns / 2][16] pairs; q8, q4: the file's. */
export interface GpuMatrix {
  readonly type: WeightType;
  readonly rows: number;
  readonly columns: number;
  /** Columns that share a scale; 0 for floats. */
  readonly group: number;
  /** Words of a tile. */
  readonly tileWords: number;
  readonly parts: readonly MatrixPart[];
}

/** Bytes of a matrix on the device, and of each of its tiles. */
export function matrixBytes(layout: MatrixLayout, floats: FloatFormat): { readonly bytes: number; readonly tileBytes: number } {
  const tiles = Math.ceil(layout.rows / TILE_ROWS);
  if (layout.format !== "f32") return { bytes: quantisedBytes(layout), tileBytes: quantisedBytes(layout) / tiles };
  const tileBytes = floatTileBytes(floats, layout.columns);
  return { bytes: tiles * tileBytes, tileBytes };
}

/** @throws {FathomError} out_of_memory where not even one tile fits a buffer */
export function checkSplit(name: string, layout: MatrixLayout, floats: FloatFormat, largestBuffer: number): void {
  const { tileBytes } = matrixBytes(layout, floats);
  if (tileBytes <= largestBuffer) return;
  throw new FathomError(
    "out_of_memory",
    `${name}: ${TILE_ROWS} of its rows take ${tileBytes} bytes in ${layout.format}, and a matrix is split no finer; this GPU device allows buffers of ${largestBuffer}.`,
  );
}

/** Buffers for a matrix, as few and as even as the device allows. @throws {FathomError} out_of_memory */
export function allocateMatrix(device: Device, name: string, layout: MatrixLayout, floats: FloatFormat): GpuMatrix {
  const { rows, columns, format } = layout;
  const { tileBytes } = matrixBytes(layout, floats);
  checkSplit(name, layout, floats, device.largestBuffer);
  const tiles = Math.ceil(rows / TILE_ROWS);
  const count = Math.ceil(tiles / Math.floor(device.largestBuffer / tileBytes));
  const tilesEach = Math.ceil(tiles / count);
  const parts: MatrixPart[] = [];
  for (let first = 0; first < tiles; first += tilesEach) {
    const end = Math.min(tiles, first + tilesEach);
    const buffer = device.storage("weights", (end - first) * tileBytes, name);
    parts.push({ buffer, at: 0, from: first * TILE_ROWS, to: Math.min(rows, end * TILE_ROWS) });
  }
  const group = layout.format === "f32" ? 0 : layout.group;
  return { type: format === "f32" ? floats : format, rows, columns, group, tileWords: tileBytes / 4, parts };
}

/** Writes whole words of a matrix, at a byte offset from its start, into the buffers that hold them. */
export function writeMatrix(
  device: Device,
  { parts, tileWords }: GpuMatrix,
  offset: number,
  data: Uint8Array | Float32Array | Uint32Array,
): void {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  for (const { buffer, from, to } of parts) {
    const start = (4 * tileWords * from) / TILE_ROWS;
    const end = start + 4 * tileWords * Math.ceil((to - from) / TILE_ROWS);
    const [first, last] = [Math.max(offset, start), Math.min(offset + bytes.length, end)];
    if (first < last) device.write(buffer, first - start, bytes.subarray(first - offset, last - offset));
  }
}

/** Where row 0 has, or would have, its first word in a part's buffer; shaders' addresses wrap around as this does. */
export function weightsAt({ at, from }: MatrixPart, tileWords: number): number {
  return (at - (from / TILE_ROWS) * tileWords) >>> 0;
}

/** The one buffer of a matrix that has not been split. */
export function wholeBuffer({ parts }: GpuMatrix): GPUBuffer {
  if (parts.length !== 1) throw new Error(`A matrix in ${parts.length} buffers is read as one.`);
  return parts[0]!.buffer;
}
