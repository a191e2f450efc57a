// Sums that a norm needs, as pairs (sum of x^2, sum of (x w)^2), one pair a part of the row. Producers of a row write
// them, so that each of its readers can normalise without a pass of its own.
// u = x * rsqrt(mean(x^2) + eps) * w, and mean(u^2) follows from the second sum.
fn factors(sums: vec2<f32>, columns: u32, eps: f32) -> vec2<f32> {
  let first = inverseSqrt(sums.x / f32(columns) + eps);
  return vec2<f32>(first, inverseSqrt(first * first * (sums.y / f32(columns)) + eps));
}
