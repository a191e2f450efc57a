// The end of a stage: a row's vector, normalised, into its state row. Needs the bindings vectors, states, scratch.
struct StageEnd {
  source: u32, // SOURCE_SCRATCH or SOURCE_STATE
  source_at: u32, // in elements of its row
  stride: u32, // of a scratch row, in elements
  norms: u32, // 0, 1 or 2
  norm_a: u32, // in elements of `vectors`
  norm_b: u32,
  stats_at: u32, // the input's sums, in elements of its row
  stats_parts: u32, // pairs of sums
  target_at: u32, // in elements of a state row
  @size(12) eps: f32,
}

fn norm_factors(p: StageEnd, index: u32, slot: u32, t: u32) -> vec2<f32> {
  var sums = vec4<f32>(0.0);
  for (var part = t; part < p.stats_parts; part += THREADS) {
    if (p.source == SOURCE_STATE) {
      let at = slot * STATE_STRIDE + p.stats_at + 2u * part;
      sums += vec4<f32>(states[at], states[at + 1u], 0.0, 0.0);
    } else {
      let at = index * p.stride + p.stats_at + 2u * part;
      sums += vec4<f32>(scratch[at], scratch[at + 1u], 0.0, 0.0);
    }
  }
  return factors(reduce(sums, t).xy, WIDTH, p.eps);
}

fn normalised(p: StageEnd, index: u32, slot: u32, k: u32, factor: vec2<f32>) -> f32 {
  var v = 0.0;
  if (p.source == SOURCE_STATE) {
    v = states[slot * STATE_STRIDE + p.source_at + k];
  } else {
    v = scratch[index * p.stride + p.source_at + k];
  }
  if (p.norms > 0u) {
    v = v * factor.x * vectors[p.norm_a + k];
  }
  if (p.norms > 1u) {
    v = v * factor.y * vectors[p.norm_b + k];
  }
  return v;
}
