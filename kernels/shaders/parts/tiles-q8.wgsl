// q8 tiles (engine/model/quantised.ts): a block is group / 4 times 16 words, one a row, then 16 scales.
// A thread sums one output over every fourth group.
const HALVES = 1u;
const LANE_ROWS = 16u;

fn accumulate(p: Product, place: Place, t: u32, k: u32) {
  let tile = place.first_output / 16u + t / 64u;
  if (tile * 16u >= p.outputs) {
    return;
  }
  let row = t % 16u;
  let groups = p.columns / p.group;
  let words = p.group / 4u;
  let first = k / p.group;
  let end = min(groups, (k + CHUNK) / p.group);
  for (var g = (first + 3u - t / 16u % 4u) / 4u * 4u + t / 16u % 4u; g < end; g += 4u) {
    let block = (tile * groups + g) * (words + 1u) * 16u;
    let x = (g - first) * words;
    var dots = array<i32, ROWS>(); // said out loud: without it some drivers zero it once, not every turn
    // four words at a time, so that their loads are under way together
    for (var j = 0u; j < words; j += 4u) {
      let at = p.weights_at + block + j * 16u + row;
      let four = vec4<u32>(weights[at], weights[at + 16u], weights[at + 32u], weights[at + 48u]);
      for (var r = 0u; r < ROWS; r++) {
        for (var i = 0u; i < 4u; i++) {
          dots[r] += dot_bytes(four[i], packed[r * WORDS + x + j + i]);
        }
      }
    }
    let scale = bitcast<f32>(weights[p.weights_at + block + words * 16u + row]);
    for (var r = 0u; r < ROWS; r++) {
      sums[r] = fma(f32(dots[r]), scales[r * (WORDS / 8u) + g - first] * scale, sums[r]);
    }
  }
}
