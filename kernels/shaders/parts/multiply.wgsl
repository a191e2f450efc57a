// One workgroup a block of OUTPUTS and group of ROWS: inputs of any length, CHUNK columns at a time.
@group(0) @binding(0) var<uniform> params: Product;
@group(0) @binding(1) var<storage, read> weights: array<u32>; // tiles
@group(0) @binding(2) var<storage, read> vectors: array<f32>; // norm weights, biases, rotary tables
@group(0) @binding(3) var<storage, read> states: array<f32>; // [slots, STATE_STRIDE]
@group(0) @binding(4) var<storage, read_write> scratch: array<f32>; // [rows, params.stride]
@group(0) @binding(5) var<storage, read> list: array<u32>; // count, then slots or NONE

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let place = Place(workgroup.y * ROWS, params.first_output + workgroup.x * OUTPUTS);
  if (place.first_row >= list[0] || (ROWS == 1u && list[1u + place.first_row] == NONE)) {
    return;
  }
  prepare(params, place, t);
  for (var k = 0u; k < params.columns; k += CHUNK) {
    if (k > 0u) {
      workgroupBarrier();
    }
    load_inputs(params, place, t, k);
    accumulate(params, place, t, k);
  }
  gather(t);
  finish(params, place, t);
}
