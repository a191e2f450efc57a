// Epilogue: adds the residual, stores the outputs and the sums that the next norm needs.
fn finish(p: Product, place: Place, t: u32) {
  for (var m = t; m < ROWS * OUTPUTS; m += THREADS) {
    let r = m / OUTPUTS;
    let n = place.first_output + m % OUTPUTS;
    if (n < p.outputs && is_live(r)) {
      let row = (place.first_row + r) * p.stride;
      if (p.residual_at != NONE) {
        outs[m] += scratch[row + p.residual_at + n];
      }
      scratch[row + p.out_at + n] = outs[m];
    }
  }
  if (p.out_stats_at == NONE) {
    return;
  }
  workgroupBarrier();
  // a pair of sums for every tile
  for (var part = t; part < ROWS * OUTPUTS / 16u; part += THREADS) {
    var sum = vec2<f32>(0.0);
    for (var m = part * 16u; m < part * 16u + 16u; m++) {
      let n = place.first_output + m % OUTPUTS;
      if (n < p.outputs) {
        sum += squares(p, outs[m], n);
      }
    }
    let r = part * 16u / OUTPUTS;
    let tile = (place.first_output + part * 16u % OUTPUTS) / 16u;
    if (is_live(r) && tile * 16u < p.outputs) {
      let at = (place.first_row + r) * p.stride + p.out_stats_at + 2u * tile;
      scratch[at] = sum.x;
      scratch[at + 1u] = sum.y;
    }
  }
}

fn squares(p: Product, v: f32, n: u32) -> vec2<f32> {
  var u = 0.0;
  if (p.out_norm != NONE) {
    u = v * vectors[p.out_norm + n];
  }
  return vec2<f32>(v * v, u * u);
}
