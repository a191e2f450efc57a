// Epilogue: adds the residual, stores the outputs and the sums that the next norm needs.
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  if (workgroup.y * ROWS >= list[0] || (ROWS == 1u && list[1u + workgroup.y] == NONE)) {
    return;
  }
  multiply(workgroup, t);
  for (var m = t; m < ROWS * OUTPUTS; m += THREADS) {
    let r = m / OUTPUTS;
    let n = workgroup.x * OUTPUTS + m % OUTPUTS;
    if (n < params.outputs && is_live(r)) {
      let row = index_of(workgroup, r) * params.stride;
      if (params.residual_at != NONE) {
        outs[m] += scratch[row + params.residual_at + n];
      }
      scratch[row + params.out_at + n] = outs[m];
    }
  }
  if (params.out_stats_at == NONE) {
    return;
  }
  workgroupBarrier();
  // a pair of sums for every tile
  for (var part = t; part < ROWS * OUTPUTS / 16u; part += THREADS) {
    var sum = vec2<f32>(0.0);
    for (var m = part * 16u; m < part * 16u + 16u; m++) {
      let n = workgroup.x * OUTPUTS + m % OUTPUTS;
      if (n < params.outputs) {
        sum += squares(outs[m], n);
      }
    }
    let r = part * 16u / OUTPUTS;
    let tile = (workgroup.x * OUTPUTS + part * 16u % OUTPUTS) / 16u;
    if (is_live(r) && tile * 16u < params.outputs) {
      let at = index_of(workgroup, r) * params.stride + params.out_stats_at + 2u * tile;
      scratch[at] = sum.x;
      scratch[at + 1u] = sum.y;
    }
  }
}

fn squares(v: f32, n: u32) -> vec2<f32> {
  var u = 0.0;
  if (params.out_norm != NONE) {
    u = v * vectors[params.out_norm + n];
  }
  return vec2<f32>(v * v, u * u);
}
