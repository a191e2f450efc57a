// The end of a core iteration: the row's new state s_{t+1} and its sums. One workgroup a row.
#include parts/rows.wgsl
#include parts/stats.wgsl
#include parts/states.wgsl
#include parts/reduce.wgsl
#include parts/sources.wgsl
#include parts/stage-end.wgsl
#include parts/stage-end-bindings.wgsl
@group(0) @binding(4) var<storage, read> list: array<u32>; // count, then slots or NONE
@group(0) @binding(5) var<storage, read_write> rows: array<Row>; // [slots]

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.x;
  if (index >= list[0] || list[1u + index] == NONE) {
    return;
  }
  let slot = list[1u + index];
  let own = slot * STATE_STRIDE;
  let factor = norm_factors(params, index, slot, t);
  var sums = vec2<f32>(0.0);
  for (var k = t; k < WIDTH; k += THREADS) {
    let s = normalised(params, index, slot, k, factor);
    states[own + STATE_AT + k] = s;
    sums += state_sums(s, vectors[FINAL_NORM_AT + k]);
  }
  let total = reduce(vec4<f32>(sums, 0.0, 0.0), t);
  if (t == 0u) {
    states[own + STATE_STATS_AT] = total.x;
    states[own + STATE_STATS_AT + 1u] = total.y;
    rows[slot].iteration += 1u;
  }
}
