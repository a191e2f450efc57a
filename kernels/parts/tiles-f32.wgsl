// f32 tiles: [tiles][columns][16]. A thread sums one output over every fourth column.
const HALVES = 1u;
const LANE_ROWS = 16u;

fn accumulate(workgroup: vec3<u32>, t: u32, k: u32) {
  let tile = workgroup.x * (THREADS / 64u) + t / 64u;
  if (tile * 16u >= params.outputs) {
    return;
  }
  let row = t % 16u;
  let end = min(params.columns, k + CHUNK);
  for (var c = k + t / 16u % 4u; c < end; c += 4u) {
    let w = bitcast<f32>(weights[(tile * params.columns + c) * 16u + row]);
    for (var r = 0u; r < ROWS; r++) {
      sums[r] = fma(w, inputs[r * CHUNK + c - k], sums[r]);
    }
  }
}
