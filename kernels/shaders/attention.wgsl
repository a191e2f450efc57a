// Attention of a block: one workgroup a row and head.
#include parts/rows.wgsl
#include parts/slots.wgsl
#include parts/lookup.wgsl
#include parts/visible.wgsl
#include parts/visible-bindings.wgsl
#include parts/attend.wgsl
@group(0) @binding(5) var<storage, read_write> scratch: array<f32>; // [rows, params.stride]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.y;
  if (index >= list[0] || list[1u + index] == NONE) {
    return;
  }
  let row = rows[list[1u + index]];
  attend(params, row, row.position + 1u, index, params.first_head + workgroup.x, t);
}
