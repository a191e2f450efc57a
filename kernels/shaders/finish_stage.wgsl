// The end of the prelude or of the coda: a row's vector, normalised, into its state row. One workgroup a row.
#include parts/rows.wgsl
#include parts/stats.wgsl
#include parts/reduce.wgsl
#include parts/sources.wgsl
#include parts/stage-end.wgsl
#include parts/stage-end-bindings.wgsl
@group(0) @binding(4) var<storage, read> list: array<u32>; // count, then slots or NONE

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.x;
  if (index >= list[0] || list[1u + index] == NONE) {
    return;
  }
  let slot = list[1u + index];
  let factor = norm_factors(params, index, slot, t);
  for (var k = t; k < WIDTH; k += THREADS) {
    states[slot * STATE_STRIDE + params.target_at + k] = normalised(params, index, slot, k, factor);
  }
}
