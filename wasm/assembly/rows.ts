/**
 * The row table: where the rows of a call lie. One record of 32 bytes a row, written by wasm/rows.ts:
 *   0 x       residual stream, [width] f32
 *   4 query   [heads * headDim] f32
 *   8 entry   the cache entry that the row writes at this layer
 *  12 list    addresses of the entries that it attends to, u32 each, padded to four
 *  16 count   of them
 *  20 shift   bytes to add to each address of the list
 *  24 angles  cos, then sin of the row's position, [headDim / 2] f32 each
 *  28 strongest  where the largest attention weight of each entry of the list is kept, f32 each, padded to four; 0 = nowhere
 * and the copies between rows and the matrices' inputs and outputs. All addresses and strides in bytes.
 */

export const ROW_BYTES: usize = 32;

// @ts-ignore: decorator
@inline
export function rowX(row: usize): usize {
  return i32.load(row);
}
// @ts-ignore: decorator
@inline
export function rowQuery(row: usize): usize {
  return i32.load(row, 4);
}
// @ts-ignore: decorator
@inline
export function rowEntry(row: usize): usize {
  return i32.load(row, 8);
}
// @ts-ignore: decorator
@inline
export function rowList(row: usize): usize {
  return i32.load(row, 12);
}
// @ts-ignore: decorator
@inline
export function rowCount(row: usize): i32 {
  return i32.load(row, 16);
}
// @ts-ignore: decorator
@inline
export function rowShift(row: usize): usize {
  return i32.load(row, 20);
}
// @ts-ignore: decorator
@inline
export function rowAngles(row: usize): usize {
  return i32.load(row, 24);
}

// @ts-ignore: decorator
@inline
export function rowStrongest(row: usize): usize {
  return i32.load(row, 28);
}

/** out[row] = [x | the buffer `other` bytes after x], each `bytes` long: the adapter's input, state first. */
export function joinRows(table: usize, rows: i32, other: usize, bytes: usize, out: usize, outStride: usize): void {
  for (; rows > 0; rows--, table += ROW_BYTES, out += outStride) {
    memory.copy(out, rowX(table), bytes);
    memory.copy(out + bytes, rowX(table) + other, bytes);
  }
}

/** x[row] = y[row] */
export function scatterRows(table: usize, rows: i32, y: usize, yStride: usize, bytes: usize): void {
  for (; rows > 0; rows--, table += ROW_BYTES, y += yStride) memory.copy(rowX(table), y, bytes);
}

/** out[row] = x[row] */
export function gatherRows(table: usize, rows: i32, out: usize, outStride: usize, bytes: usize): void {
  for (; rows > 0; rows--, table += ROW_BYTES, out += outStride) memory.copy(out, rowX(table), bytes);
}
