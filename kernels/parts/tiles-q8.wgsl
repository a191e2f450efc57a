// q8 tiles (engine/model/quantised.ts): a block is group / 4 times 16 words, one a row, then 16 scales.
// A thread sums one output over every fourth group.
const HALVES = 1u;
const LANE_ROWS = 16u;

fn accumulate(workgroup: vec3<u32>, t: u32, k: u32) {
  let tile = workgroup.x * (THREADS / 64u) + t / 64u;
  if (tile * 16u >= params.outputs) {
    return;
  }
  let row = t % 16u;
  let groups = params.columns / params.group;
  let words = params.group / 4u;
  let first = k / params.group;
  let end = min(groups, (k + CHUNK) / params.group);
  for (var g = (first + 3u - t / 16u % 4u) / 4u * 4u + t / 16u % 4u; g < end; g += 4u) {
    let block = (tile * groups + g) * (words + 1u) * 16u;
    let x = (g - first) * words;
    var dots = array<i32, ROWS>(); // said out loud: without it some drivers zero it once, not every turn
    for (var j = 0u; j < words; j++) {
      let w = weights[block + j * 16u + row];
      for (var r = 0u; r < ROWS; r++) {
        dots[r] += dot_bytes(w, packed[r * WORDS + x + j]);
      }
    }
    let scale = bitcast<f32>(weights[block + words * 16u + row]);
    for (var r = 0u; r < ROWS; r++) {
      sums[r] = fma(f32(dots[r]), scales[r * (WORDS / 8u) + g - first] * scale, sums[r]);
    }
  }
}
