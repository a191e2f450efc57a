// f16 tiles: [tiles][columns / 2][16] words of two neighbouring columns. A thread sums one output over every fourth pair.
const HALVES = 1u;
const LANE_ROWS = 16u;

fn accumulate(p: Product, place: Place, t: u32, k: u32) {
  let tile = place.first_output / 16u + t / 64u;
  if (tile * 16u >= p.outputs) {
    return;
  }
  let row = t % 16u;
  let pairs = (p.columns + 1u) / 2u;
  let end = min(pairs, (k + CHUNK) / 2u);
  for (var c = k / 2u + t / 16u % 4u; c < end; c += 4u) {
    let w = unpack2x16float(weights[p.weights_at + (tile * pairs + c) * 16u + row]);
    for (var r = 0u; r < ROWS; r++) {
      let at = r * CHUNK + 2u * c - k;
      sums[r] = fma(w.y, inputs[at + 1u], fma(w.x, inputs[at], sums[r]));
    }
  }
}
