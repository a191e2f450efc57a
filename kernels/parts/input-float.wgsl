// Inputs of float weights: CHUNK columns of each row as they are.
const CHUNK = select(1024u, 256u, ROWS > 1u);
var<workgroup> inputs: array<f32, ROWS * CHUNK>;

fn load_inputs(workgroup: vec3<u32>, t: u32, k: u32) {
  for (var m = t; m < ROWS * CHUNK; m += 256u) {
    inputs[m] = input(workgroup, m / CHUNK, k + m % CHUNK);
  }
  workgroupBarrier();
}
