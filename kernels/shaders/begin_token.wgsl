// Before a token is made: its limit, and which rows run the core. Rows that have made all their tokens drop out.
#include parts/rows.wgsl
#include parts/log.wgsl
@group(0) @binding(0) var<storage, read_write> list: array<u32>; // of the call: count, then slots or NONE
@group(0) @binding(1) var<storage, read_write> core: array<u32>; // of the core: the same
@group(0) @binding(2) var<storage, read_write> rows: array<Row>; // [slots]
@group(0) @binding(3) var<storage, read> steps: array<u32>; // with the log

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>) {
  let slot = list[1u + workgroup.x];
  if (slot == NONE) {
    return;
  }
  let limit = steps[rows[slot].log_at + LOG_LIMIT];
  if (rows[slot].left == 0u || limit == NONE) {
    list[1u + workgroup.x] = NONE;
    core[1u + workgroup.x] = NONE;
    return;
  }
  rows[slot].limit = limit;
  rows[slot].iteration = 0u;
  core[1u + workgroup.x] = select(NONE, slot, limit > 0u);
}
