// The end of a core iteration of rows that generate on the device: as advance.wgsl, and the exit test. A row that
// exits leaves the list. One workgroup a row.
#include parts/rows.wgsl
#include parts/log.wgsl
#include parts/stats.wgsl
#include parts/states.wgsl
#include parts/reduce.wgsl
#include parts/sources.wgsl
#include parts/stage-end.wgsl
#include parts/stage-end-bindings.wgsl
#include parts/exit-test.wgsl
@group(0) @binding(4) var<storage, read_write> list: array<u32>; // count, then slots or NONE
@group(0) @binding(5) var<storage, read_write> rows: array<Row>; // [slots]
@group(0) @binding(6) var<storage, read_write> steps: array<u32>; // with the log

var<workgroup> entry: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.x;
  if (t == 0u) {
    entry = NONE;
    if (index < list[0]) {
      entry = list[1u + index];
    }
  }
  let slot = workgroupUniformLoad(&entry);
  if (slot == NONE) {
    return;
  }
  if (exit_test(params, rows[slot], slot, index, t)) {
    list[1u + index] = NONE;
  }
}
