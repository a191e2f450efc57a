// The end of the prelude where s_0 is e: rows that were given no state begin with it. One workgroup a row.
#include parts/rows.wgsl
#include parts/states.wgsl
#include parts/start.wgsl
#include parts/reduce.wgsl
@group(0) @binding(0) var<storage, read> vectors: array<f32>;
@group(0) @binding(1) var<storage, read_write> states: array<f32>; // [slots, STATE_STRIDE]
@group(0) @binding(2) var<storage, read> list: array<u32>; // count, then slots or NONE
@group(0) @binding(3) var<storage, read> rows: array<Row>; // [slots]

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.x;
  if (index >= list[0] || list[1u + index] == NONE) {
    return;
  }
  let slot = list[1u + index];
  if (rows[slot].start != START_ZERO) {
    return;
  }
  let own = slot * STATE_STRIDE;
  var sums = vec2<f32>(0.0);
  for (var k = t; k < WIDTH; k += THREADS) {
    let e = states[own + EMBEDDED_AT + k];
    states[own + STATE_AT + k] = e;
    states[own + MEASURED_AT + k] = e;
    sums += state_sums(e, vectors[FINAL_NORM_AT + k]);
  }
  let total = reduce(vec4<f32>(sums, 0.0, 0.0), t);
  if (t == 0u) {
    states[own + STATE_STATS_AT] = total.x;
    states[own + STATE_STATS_AT + 1u] = total.y;
  }
}
