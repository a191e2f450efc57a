fn element(row: u32, column: u32) -> f32 {
  let words = params.group / 4u;
  let block = (row / 16u * (params.columns / params.group) + column / params.group) * (words + 1u) * 16u;
  let word = bitcast<i32>(weights[params.weights_at + block + column % params.group / 4u * 16u + row % 16u]);
  let scale = bitcast<f32>(weights[params.weights_at + block + words * 16u + row % 16u]);
  return f32(extractBits(word, column % 4u * 8u, 8u)) * scale;
}
