// A slot's row of `states`: [s | e | head input | measured s], WIDTH f32 each, then the sums of s.
const STATE_AT = 0u;
const EMBEDDED_AT = WIDTH;
const HEAD_INPUT_AT = 2u * WIDTH;
const MEASURED_AT = 3u * WIDTH;
const STATE_STATS_AT = 4u * WIDTH;

// Terms of the sums that ln_f and the norm after it need.
fn state_sums(s: f32, final_weight: f32) -> vec2<f32> {
  let u = s * final_weight;
  return vec2<f32>(s * s, u * u);
}
