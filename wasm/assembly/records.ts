/**
 * Records by which the host tells the kernels what they work on. The host writes them (wasm/records.ts), and takes the
 * place of every field from the exports below: an order or a size is written here alone. Sizes, strides and offsets are
 * bytes unless said otherwise.
 */

/** A row of a call: where what belongs to it lies. The kernels' `table` has one after the other. */
@unmanaged
export class Row {
  /** Residual stream, [width] f32. */
  x: usize;
  /** [heads * headDim] f32. */
  query: usize;
  /** The cache entry that the row writes at this layer. */
  entry: usize;
  /** Addresses of the entries that it attends to, u32 each, padded to four. */
  list: usize;
  /** Entries in the list. */
  count: i32;
  /** Bytes to add to each address of the list. */
  shift: usize;
  /** cos, then sin of the row's position, [headDim / 2] f32 each. */
  angles: usize;
  /** Where the largest attention weight of each entry of the list is kept, f32 each, padded to four; 0 = nowhere. */
  strongest: usize;
}

/** A matrix in tiles of 16 rows, and how the rows lie that pass through it. */
@unmanaged
export class Matrix {
  /** First tile. */
  weights: usize;
  tileBytes: usize;
  columns: i32;
  /** Columns that share a scale; 0 for f32. */
  group: i32;
  /** How inputs are quantised: a form of quantise.ts. */
  form: i32;
  /** Bytes from one row of inputs to the next. */
  xStride: usize;
  /** Bytes from one row of outputs to the next. */
  yStride: usize;
}

/** What all blocks of a model have in common. */
@unmanaged
export class Block {
  width: i32;
  /** Epsilon of the norms. */
  eps: f32;
  heads: i32;
  kvHeads: i32;
  headDim: i32;
  /** Rotary pairs are neighbours; else a half of the head apart. */
  interleaved: i32;
  /** Scale of attention scores: 1 / sqrt(headDim). */
  scale: f32;
  /** Bytes from a cache entry's key to its value. */
  valueOffset: usize;
  /** Bytes from a key to its scales, and from a value to its, in int8 entries. */
  scaleOffset: usize;
}

export const Row_x: usize = offsetof<Row>("x");
export const Row_query: usize = offsetof<Row>("query");
export const Row_entry: usize = offsetof<Row>("entry");
export const Row_list: usize = offsetof<Row>("list");
export const Row_count: usize = offsetof<Row>("count");
export const Row_shift: usize = offsetof<Row>("shift");
export const Row_angles: usize = offsetof<Row>("angles");
export const Row_strongest: usize = offsetof<Row>("strongest");
export const Row_bytes: usize = offsetof<Row>();

export const Matrix_weights: usize = offsetof<Matrix>("weights");
export const Matrix_tileBytes: usize = offsetof<Matrix>("tileBytes");
export const Matrix_columns: usize = offsetof<Matrix>("columns");
export const Matrix_group: usize = offsetof<Matrix>("group");
export const Matrix_form: usize = offsetof<Matrix>("form");
export const Matrix_xStride: usize = offsetof<Matrix>("xStride");
export const Matrix_yStride: usize = offsetof<Matrix>("yStride");
export const Matrix_bytes: usize = offsetof<Matrix>();

export const Block_width: usize = offsetof<Block>("width");
export const Block_eps: usize = offsetof<Block>("eps");
export const Block_heads: usize = offsetof<Block>("heads");
export const Block_kvHeads: usize = offsetof<Block>("kvHeads");
export const Block_headDim: usize = offsetof<Block>("headDim");
export const Block_interleaved: usize = offsetof<Block>("interleaved");
export const Block_scale: usize = offsetof<Block>("scale");
export const Block_valueOffset: usize = offsetof<Block>("valueOffset");
export const Block_scaleOffset: usize = offsetof<Block>("scaleOffset");
export const Block_bytes: usize = offsetof<Block>();
