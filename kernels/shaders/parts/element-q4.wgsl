fn element(row: u32, column: u32) -> f32 {
  let words = params.group / 4u;
  let block = (row / 16u * (params.columns / params.group) + column / params.group) * (words * 8u + 16u);
  let word = weights[params.weights_at + block + column % params.group / 4u * 8u + row % 8u];
  let scale = bitcast<f32>(weights[params.weights_at + block + words * 8u + row % 16u]);
  return (f32(extractBits(word, column % 4u * 8u + row % 16u / 8u * 4u, 4u)) - 8.0) * scale;
}
