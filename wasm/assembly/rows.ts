/**
 * Copies between the rows of a table and the matrices' inputs and outputs, and what other kernels read of a row.
 * All addresses and strides in bytes.
 */
import { Row } from "./records";

/** Bytes from one row of the table to the next. */
export const ROW_BYTES: usize = offsetof<Row>();

// @ts-ignore: decorator
@inline
export function rowX(row: usize): usize {
  return changetype<Row>(row).x;
}
// @ts-ignore: decorator
@inline
export function rowQuery(row: usize): usize {
  return changetype<Row>(row).query;
}
// @ts-ignore: decorator
@inline
export function rowEntry(row: usize): usize {
  return changetype<Row>(row).entry;
}
// @ts-ignore: decorator
@inline
export function rowList(row: usize): usize {
  return changetype<Row>(row).list;
}
// @ts-ignore: decorator
@inline
export function rowCount(row: usize): i32 {
  return changetype<Row>(row).count;
}
// @ts-ignore: decorator
@inline
export function rowShift(row: usize): usize {
  return changetype<Row>(row).shift;
}
// @ts-ignore: decorator
@inline
export function rowAngles(row: usize): usize {
  return changetype<Row>(row).angles;
}
// @ts-ignore: decorator
@inline
export function rowStrongest(row: usize): usize {
  return changetype<Row>(row).strongest;
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
