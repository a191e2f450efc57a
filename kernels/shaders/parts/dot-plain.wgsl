// Dot product of four int8 pairs, for hosts whose WGSL lacks packed products.
fn dot_bytes(a: u32, b: u32) -> i32 {
  let shift = vec4<u32>(24u, 16u, 8u, 0u);
  let p = (bitcast<vec4<i32>>(vec4<u32>(a) << shift) >> vec4<u32>(24u)) * (bitcast<vec4<i32>>(vec4<u32>(b) << shift) >> vec4<u32>(24u));
  return p.x + p.y + p.z + p.w;
}
