fn element(row: u32, column: u32) -> f32 {
  let pairs = (params.columns + 1u) / 2u;
  return unpack2x16float(weights[params.weights_at + (row / 16u * pairs + column / 2u) * 16u + row % 16u])[column % 2u];
}
