/**
 * q4 and q8 matrices in the kernels' own tile layout: what lies in a file is what a kernel reads. Layout and
 * unpacking; they are made by quantise.ts.
 *
 * A matrix [rows, columns] is cut into tiles of 16 rows, a tile into groups of `group` columns (32, 64 or 128).
 * A block is one group of one tile; blocks follow each other tile by tile, group by group. Rows are padded to 16.
 *   q8 block: for j < group/4, r < 4: 16 bytes, lane l (4 bytes), byte e: int8 W[16t + 4r + l][g*group + 4j + e]
 *   q4 block: for j < group/4, r < 2: 16 bytes, lane l, byte e: low nibble  W[16t + 4r + l][g*group + 4j + e] + 8,
 *                                                            high nibble W[16t + 8 + 4r + l][same column] + 8
 *   both end with 16 f32 scales, one a row. W = scale * integer. Every block is a multiple of 64 bytes.
 * Columns that are neighbours in k share a lane, so a 4-way dot product needs no horizontal sum.
 * Both nibbles of a q4 byte belong to the same column, so one dot product with the whole byte (16 high + low) and one
 * with the low nibbles give both rows: no shift in the inner loop.
 */
import { FathomError } from "../errors.ts";

/** Bits of a quantised weight: 8 or 4, each group of columns with a scale of its own. */
export type QuantFormat = "q8" | "q4";

/** The shape of a quantised matrix. */
export interface QuantLayout {
  readonly format: QuantFormat;
  readonly rows: number;
  readonly columns: number;
  /** Columns that share a scale: 32, 64 or 128. */
  readonly group: number;
}

export const TILE_ROWS = 16;
export const GROUPS: readonly number[] = [32, 64, 128];
const SCALE_BYTES = TILE_ROWS * 4;

export function blockBytes(format: QuantFormat, group: number): number {
  return (format === "q8" ? TILE_ROWS * group : (TILE_ROWS * group) / 2) + SCALE_BYTES;
}

/** Bytes of a packed matrix, padding rows included. */
export function quantisedBytes(layout: QuantLayout): number {
  return Math.ceil(layout.rows / TILE_ROWS) * (layout.columns / layout.group) * blockBytes(layout.format, layout.group);
}

/** The reason why a matrix cannot be cut into such groups; undefined where it can. */
export function layoutObjection({ columns, group }: QuantLayout, name: string): string | undefined {
  if (!GROUPS.includes(group)) return `Group size ${group} of ${name} is not one of ${GROUPS.join(", ")}`;
  if (columns % group === 0) return undefined;
  const fitting = GROUPS.filter((g) => columns % g === 0).join(" or ");
  return `${name} has ${columns} columns, which groups of ${group} do not divide; ${fitting ? `choose a group of ${fitting}` : "only f32 fits"}`;
}

/** @throws {FathomError} invalid_request when the columns cannot be cut into groups. */
export function checkLayout(layout: QuantLayout, name: string): void {
  const objection = layoutObjection(layout, name);
  if (objection !== undefined) throw new FathomError("invalid_request", `${objection}.`, GROUPS.includes(layout.group) ? name : "group");
}

/** The f32 matrix [rows, columns], row-major, that a packed matrix stands for. */
export function dequantise(packed: Uint8Array, layout: QuantLayout): Float32Array {
  const { rows, columns, group, format } = layout;
  const out = new Float32Array(rows * columns);
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  forEachGroup(layout, (row, g, block) => {
    if (row >= rows) return;
    const scale = view.getFloat32(block + blockBytes(format, group) - SCALE_BYTES + (row % TILE_ROWS) * 4, true);
    for (let k = 0; k < group; k++) out[row * columns + g * group + k] = scale * getInteger(packed, block, format, row % TILE_ROWS, k);
  });
  return out;
}

function forEachGroup(layout: QuantLayout, visit: (row: number, group: number, blockOffset: number) => void): void {
  const groups = layout.columns / layout.group;
  const bytes = blockBytes(layout.format, layout.group);
  const tiles = Math.ceil(layout.rows / TILE_ROWS);
  for (let t = 0; t < tiles; t++)
    for (let g = 0; g < groups; g++) for (let r = 0; r < TILE_ROWS; r++) visit(t * TILE_ROWS + r, g, (t * groups + g) * bytes);
}

/** Byte of element k of a tile row within its block; for q4 the nibble, too. */
function place(format: QuantFormat, row: number, k: number): { byte: number; high: boolean } {
  const lane = (row & 3) * 4 + (k & 3);
  if (format === "q8") return { byte: ((k >> 2) * 4 + (row >> 2)) * 16 + lane, high: false };
  return { byte: ((k >> 2) * 2 + ((row >> 2) & 1)) * 16 + lane, high: row >= 8 };
}

function getInteger(packed: Uint8Array, block: number, format: QuantFormat, row: number, k: number): number {
  const { byte, high } = place(format, row, k);
  const b = packed[block + byte]!;
  if (format === "q8") return (b << 24) >> 24;
  return (high ? b >> 4 : b & 15) - 8;
}
