// The end of a core iteration of a row that generates on the device: its new state, and the exit test of
// engine/decode/exit.ts. Needs the bindings of parts/stage-end.wgsl, and rows and steps, written.
const RULE_NONE = 0u;
const RULE_LATENT_DIFF = 1u;
const RULE_COSINE = 2u;

// Whether the row's iterations end here, by its rule or its limit: told to the first thread alone.
fn exit_test(p: StageEnd, row: Row, slot: u32, index: u32, t: u32) -> bool {
  let own = slot * STATE_STRIDE;
  let past = row.iteration - row.min_iterations; // only where min_iterations have run
  let checked = row.rule != RULE_NONE && row.iteration >= row.min_iterations && past % row.check_every == 0u;
  let factor = norm_factors(p, index, slot, t);
  var sums = vec2<f32>(0.0);
  var change = vec3<f32>(0.0); // squares of distance, norm and previous norm
  for (var k = t; k < WIDTH; k += THREADS) {
    let s = normalised(p, index, slot, k, factor);
    let m = states[own + MEASURED_AT + k];
    states[own + STATE_AT + k] = s;
    if (checked) {
      states[own + MEASURED_AT + k] = s;
    }
    sums += state_sums(s, vectors[FINAL_NORM_AT + k]);
    change += vec3<f32>((s - m) * (s - m), s * s, m * m);
  }
  let total = reduce(vec4<f32>(sums, 0.0, 0.0), t);
  let squares = reduce(vec4<f32>(change, 0.0), t).xyz;
  if (t > 0u) {
    return false;
  }
  states[own + STATE_STATS_AT] = total.x;
  states[own + STATE_STATS_AT + 1u] = total.y;
  rows[slot].iteration = row.iteration + 1u;
  var exits = false;
  if (checked) {
    let norms = sqrt(squares.yz);
    // a zero state has not moved, and has no direction
    var value = select(sqrt(squares.x) / norms.x, 0.0, norms.x == 0.0);
    if (row.rule == RULE_COSINE) {
      // 1 - cos, without the difference of two numbers near one
      let d = norms.x - norms.y;
      let product = norms.x * norms.y;
      value = select((squares.x - d * d) / (2.0 * product), 1.0, product == 0.0);
    }
    exits = row.threshold > 0.0 && value < row.threshold;
    let checks = steps[row.log_at + LOG_CHECKS];
    steps[row.log_at + LOG_VALUES + checks] = bitcast<u32>(value);
    steps[row.log_at + LOG_CHECKS] = checks + 1u;
    steps[row.log_at + LOG_EXITED] = u32(exits);
  }
  return exits || row.iteration + 1u >= row.limit;
}
