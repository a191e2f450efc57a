struct Params {
  source: u32, // SOURCE_SCRATCH or SOURCE_STATE
  source_at: u32, // in elements of its row
  stride: u32, // of a scratch row, in elements
  norms: u32, // 0, 1 or 2
  norm_a: u32, // in elements of `vectors`
  norm_b: u32,
  stats_at: u32, // the input's sums, in elements of its row
  stats_parts: u32, // pairs of sums
  target_at: u32, // in elements of a state row
  eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> vectors: array<f32>;
@group(0) @binding(2) var<storage, read_write> states: array<f32>; // [slots, STATE_STRIDE]
@group(0) @binding(3) var<storage, read> scratch: array<f32>; // [rows, params.stride]

const SOURCE_SCRATCH = 0u;
const SOURCE_STATE = 1u;

fn norm_factors(index: u32, slot: u32, t: u32) -> vec2<f32> {
  var sums = vec4<f32>(0.0);
  for (var p = t; p < params.stats_parts; p += THREADS) {
    if (params.source == SOURCE_STATE) {
      let at = slot * STATE_STRIDE + params.stats_at + 2u * p;
      sums += vec4<f32>(states[at], states[at + 1u], 0.0, 0.0);
    } else {
      let at = index * params.stride + params.stats_at + 2u * p;
      sums += vec4<f32>(scratch[at], scratch[at + 1u], 0.0, 0.0);
    }
  }
  return factors(reduce(sums, t).xy, WIDTH, params.eps);
}

fn normalised(index: u32, slot: u32, k: u32, factor: vec2<f32>) -> f32 {
  var v = 0.0;
  if (params.source == SOURCE_STATE) {
    v = states[slot * STATE_STRIDE + params.source_at + k];
  } else {
    v = scratch[index * params.stride + params.source_at + k];
  }
  if (params.norms > 0u) {
    v = v * factor.x * vectors[params.norm_a + k];
  }
  if (params.norms > 1u) {
    v = v * factor.y * vectors[params.norm_b + k];
  }
  return v;
}
