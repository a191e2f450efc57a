// What one product y = x W^T reads and leaves behind.
struct Product {
  outputs: u32, // rows of W, or of those that a dispatch takes the end
  columns: u32, // columns of W: inputs
  group: u32, // columns that share a scale; 0 for float weights
  source: u32, // SOURCE_*
  source_at: u32, // first input, in elements of its row
  stride: u32, // of a scratch row, in elements
  norms: u32, // norms on the input: 0, 1 or 2
  norm_a: u32, // weight of the first, in elements of `vectors`
  norm_b: u32, // weight of the second
  stats_at: u32, // the input's sums, in elements of its row
  stats_parts: u32, // pairs of sums
  keep_at: u32, // where the input before its last norm is stored, or NONE
  residual_at: u32, // what is added to the output, or NONE
  out_at: u32, // first output, in elements of a scratch row
  out_stats_at: u32, // where the output's sums go, or NONE
  out_norm: u32, // weight of the norm that will follow, or NONE
  stage: u32, // STAGE_* (qkv only)
  layer: u32, // within its stage (qkv only)
  bias_at: u32, // q's, then k's bias in `vectors`, or NONE (qkv only)
  weights_at: u32, // where W has, or would have, its first word in `weights`: before a buffer of later rows
  first_output: u32, // of a dispatch, a multiple of 16; `outputs` is the one behind its last
  first_key: u32, // element of all heads' keys that its part of the cache begins with (qkv only)
  @size(8) eps: f32, // the whole takes 96 bytes, so that products can stand in a uniform array
}
