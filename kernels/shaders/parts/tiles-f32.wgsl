// f32 tiles: [tiles][columns][16]. A thread sums one output over every fourth column.
const HALVES = 1u;
const LANE_ROWS = 16u;

fn accumulate(p: Product, place: Place, t: u32, k: u32) {
  let tile = place.first_output / 16u + t / 64u;
  if (tile * 16u >= p.outputs) {
    return;
  }
  let row = t % 16u;
  let end = min(p.columns, k + CHUNK);
  for (var c = k + t / 16u % 4u; c < end; c += 4u) {
    let w = bitcast<f32>(weights[p.weights_at + (tile * p.columns + c) * 16u + row]);
    for (var r = 0u; r < ROWS; r++) {
      sums[r] = fma(w, inputs[r * CHUNK + c - k], sums[r]);
    }
  }
}
