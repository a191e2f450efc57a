// A row's start: x = embedding * EMBED_SCALE with its sums, and s_0 with its own. One workgroup a row.
struct Params {
  columns: u32, // WIDTH
  group: u32, // of the embedding
  stride: u32, // of a scratch row, in elements
  x_at: u32, // in a scratch row
  stats_at: u32, // sums of x, in a scratch row
  weights_at: u32, // where row 0 has, or would have, its first word in `weights`
  first_token: u32, // first row of the embedding that `weights` holds
  end_token: u32, // the row behind the last, or NONE: all that follow
  eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<u32>; // tiles of the embedding, or of some of its rows
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read_write> states: array<f32>; // [slots, STATE_STRIDE]
@group(0) @binding(4) var<storage, read_write> scratch: array<f32>; // [rows, params.stride]
@group(0) @binding(5) var<storage, read> list: array<u32>; // count, then slots or NONE
@group(0) @binding(6) var<storage, read> rows: array<Row>; // [slots]

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.x;
  if (index >= list[0] || list[1u + index] == NONE) {
    return;
  }
  let slot = list[1u + index];
  let row = rows[slot];
  if (row.token < params.first_token || row.token >= params.end_token) {
    return;
  }
  let own = slot * STATE_STRIDE;
  let out = index * params.stride;
  let factor = factors(vec2<f32>(states[own + STATE_STATS_AT], 0.0), WIDTH, params.eps).x;
  var sums = vec4<f32>(0.0);
  for (var k = t; k < WIDTH; k += THREADS) {
    let x = element(row.token, k) * EMBED_SCALE;
    scratch[out + params.x_at + k] = x;
    let weight = vectors[FINAL_NORM_AT + k];
    var s = 0.0;
    if (row.start != START_ZERO) {
      s = states[own + STATE_AT + k];
    }
    if (row.start == START_NORMALISED) {
      s = s * factor * weight;
    }
    states[own + STATE_AT + k] = s;
    states[own + MEASURED_AT + k] = s;
    sums += vec4<f32>(x * x, 0.0, state_sums(s, weight));
  }
  let total = reduce(sums, t);
  if (t == 0u) {
    scratch[out + params.stats_at] = total.x;
    scratch[out + params.stats_at + 1u] = 0.0;
    states[own + STATE_STATS_AT] = total.z;
    states[own + STATE_STATS_AT + 1u] = total.w;
  }
}
