// How far each row's state moved since it was last measured: distance, norm, previous norm, dot. One workgroup a row.
#include parts/rows.wgsl
#include parts/states.wgsl
#include parts/reduce.wgsl
@group(0) @binding(0) var<storage, read_write> states: array<f32>; // [slots, STATE_STRIDE]
@group(0) @binding(1) var<storage, read_write> results: array<f32>; // [rows, 4]
@group(0) @binding(2) var<storage, read> list: array<u32>; // count, then slots

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.x;
  if (index >= list[0]) {
    return;
  }
  let own = list[1u + index] * STATE_STRIDE;
  var sums = vec4<f32>(0.0);
  for (var k = t; k < WIDTH; k += THREADS) {
    let s = states[own + STATE_AT + k];
    let m = states[own + MEASURED_AT + k];
    states[own + MEASURED_AT + k] = s;
    sums += vec4<f32>((s - m) * (s - m), s * s, m * m, s * m);
  }
  let total = reduce(sums, t);
  if (t == 0u) {
    results[4u * index] = sqrt(total.x);
    results[4u * index + 1u] = sqrt(total.y);
    results[4u * index + 2u] = sqrt(total.z);
    results[4u * index + 3u] = total.w;
  }
}
