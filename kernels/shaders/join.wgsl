// What a half of a block has made, normalised, on the residual; and the sums of the result, as one pair. One workgroup a row.
#include parts/rows.wgsl
#include parts/reduce.wgsl
struct Params {
  stride: u32, // of a scratch row, in elements
  made_at: u32, // in a scratch row, as all places here
  stats_at: u32, // sums of what was made
  stats_parts: u32, // pairs of them
  norm: u32, // in elements of `vectors`
  residual_at: u32,
  out_at: u32,
  out_stats_at: u32,
  eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> vectors: array<f32>;
@group(0) @binding(2) var<storage, read_write> scratch: array<f32>; // [rows, params.stride]
@group(0) @binding(3) var<storage, read> list: array<u32>; // count, then slots or NONE

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.x;
  if (index >= list[0] || list[1u + index] == NONE) {
    return;
  }
  let row = index * params.stride;
  var made = 0.0;
  for (var part = t; part < params.stats_parts; part += THREADS) {
    made += scratch[row + params.stats_at + 2u * part];
  }
  let factor = inverseSqrt(reduce(vec4<f32>(made, 0.0, 0.0, 0.0), t).x / f32(WIDTH) + params.eps);
  var squares = 0.0;
  for (var k = t; k < WIDTH; k += THREADS) {
    let v = scratch[row + params.residual_at + k] + scratch[row + params.made_at + k] * factor * vectors[params.norm + k];
    scratch[row + params.out_at + k] = v;
    squares += v * v;
  }
  let total = reduce(vec4<f32>(squares, 0.0, 0.0, 0.0), t).x;
  if (t == 0u) {
    scratch[row + params.out_stats_at] = total;
    scratch[row + params.out_stats_at + 1u] = 0.0;
  }
}
