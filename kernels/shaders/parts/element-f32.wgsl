fn element(row: u32, column: u32) -> f32 {
  return bitcast<f32>(weights[params.weights_at + (row / 16u * params.columns + column) * 16u + row % 16u]);
}
