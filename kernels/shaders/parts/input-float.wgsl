// Inputs of float weights: CHUNK columns of each row as they are.
const CHUNK = select(4u, 1u, ROWS > 1u) * max(128u, THREADS);
var<workgroup> inputs: array<f32, ROWS * CHUNK>;

fn load_inputs(p: Product, place: Place, t: u32, k: u32) {
  let used = min(CHUNK, (p.columns - k + 1u) / 2u * 2u); // even: f16 weights come in pairs
  for (var r = 0u; r < ROWS; r++) {
    for (var c = t; c < used; c += THREADS) {
      inputs[r * CHUNK + c] = input(p, place, r, k + c);
    }
  }
  workgroupBarrier();
}
