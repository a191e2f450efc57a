// The first iteration of a row where it goes without the adapter: its blocks read e. One workgroup a row.
#include parts/rows.wgsl
#include parts/states.wgsl
#include parts/reduce.wgsl
struct Params {
  stride: u32, // of a scratch row, in elements
  x_at: u32, // what the core's first block reads, in a scratch row
  stats_at: u32, // its sums, in a scratch row
  stats_parts: u32, // pairs of them
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> states: array<f32>; // [slots, STATE_STRIDE]
@group(0) @binding(2) var<storage, read_write> scratch: array<f32>; // [rows, params.stride]
@group(0) @binding(3) var<storage, read> list: array<u32>; // count, then slots or NONE
@group(0) @binding(4) var<storage, read> rows: array<Row>; // [slots]

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.x;
  if (index >= list[0] || list[1u + index] == NONE) {
    return;
  }
  let slot = list[1u + index];
  if (rows[slot].iteration != 0u) {
    return;
  }
  let row = index * params.stride;
  var squares = 0.0;
  for (var k = t; k < WIDTH; k += THREADS) {
    let e = states[slot * STATE_STRIDE + EMBEDDED_AT + k];
    scratch[row + params.x_at + k] = e;
    squares += e * e;
  }
  let total = reduce(vec4<f32>(squares, 0.0, 0.0, 0.0), t).x;
  for (var part = t; part < params.stats_parts; part += THREADS) {
    scratch[row + params.stats_at + 2u * part] = select(0.0, total, part == 0u);
    scratch[row + params.stats_at + 2u * part + 1u] = 0.0;
  }
}
