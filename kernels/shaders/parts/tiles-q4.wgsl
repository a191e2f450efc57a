// q4 tiles (engine/model/quantised.ts): a block is group / 4 times 8 words, each four columns of row i (low nibbles) and
// of row i + 8 (high nibbles), then 16 scales. A thread sums both rows over every eighth group.
const HALVES = 2u;
const LANE_ROWS = 8u;

fn accumulate(p: Product, place: Place, t: u32, k: u32) {
  let tile = place.first_output / 16u + t / 64u;
  if (tile * 16u >= p.outputs) {
    return;
  }
  let row = t % 8u;
  let groups = p.columns / p.group;
  let words = p.group / 4u;
  let first = k / p.group;
  let end = min(groups, (k + CHUNK) / p.group);
  for (var g = (first + 7u - t / 8u % 8u) / 8u * 8u + t / 8u % 8u; g < end; g += 8u) {
    let block = (tile * groups + g) * (words * 8u + 16u);
    let x = (g - first) * words;
    var low = array<i32, ROWS>(); // said out loud: without it some drivers zero it once, not every turn
    var high = array<i32, ROWS>();
    // four words at a time, so that their loads are under way together
    for (var j = 0u; j < words; j += 4u) {
      let at = p.weights_at + block + j * 8u + row;
      let four = vec4<u32>(weights[at], weights[at + 8u], weights[at + 16u], weights[at + 24u]);
      for (var r = 0u; r < ROWS; r++) {
        for (var i = 0u; i < 4u; i++) {
          let v = packed[r * WORDS + x + j + i];
          let zero = dot_bytes(0x08080808u, v); // nibbles are stored plus 8
          low[r] += dot_bytes(four[i] & 0x0f0f0f0fu, v) - zero;
          high[r] += dot_bytes((four[i] >> 4u) & 0x0f0f0f0fu, v) - zero;
        }
      }
    }
    let scale_low = bitcast<f32>(weights[p.weights_at + block + words * 8u + row]);
    let scale_high = bitcast<f32>(weights[p.weights_at + block + words * 8u + 8u + row]);
    for (var r = 0u; r < ROWS; r++) {
      let scale = scales[r * (WORDS / 8u) + g - first];
      sums[2u * r] = fma(f32(low[r]), scale * scale_low, sums[2u * r]);
      sums[2u * r + 1u] = fma(f32(high[r]), scale * scale_high, sums[2u * r + 1u]);
    }
  }
}
