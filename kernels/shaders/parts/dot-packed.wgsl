// Dot product of four int8 pairs, as one instruction where the device has it.
fn dot_bytes(a: u32, b: u32) -> i32 {
  return dot4I8Packed(a, b);
}
