// After the head: the most likely token, its entry in the log, and what the row starts its next one from. One workgroup a row. VOCAB in
// place of a token says that some logit is not finite.
#include parts/rows.wgsl
#include parts/log.wgsl
@group(0) @binding(0) var<storage, read> results: array<f32>; // logits, [rows, VOCAB]
@group(0) @binding(1) var<storage, read> list: array<u32>; // count, then slots or NONE
@group(0) @binding(2) var<storage, read_write> rows: array<Row>; // [slots]
@group(0) @binding(3) var<storage, read_write> steps: array<u32>; // with the log

const LARGEST = 3.4028234e38;

var<workgroup> best: array<f32, THREADS>;
var<workgroup> token: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.x;
  if (index >= list[0] || list[1u + index] == NONE) {
    return;
  }
  // of equal logits the first
  best[t] = -LARGEST;
  token[t] = VOCAB;
  for (var v = t; v < VOCAB; v += THREADS) {
    let logit = results[index * VOCAB + v];
    if (!(abs(logit) <= LARGEST)) {
      best[t] = LARGEST;
      token[t] = VOCAB;
    } else if (logit > best[t]) {
      best[t] = logit;
      token[t] = v;
    }
  }
  workgroupBarrier();
  if (t > 0u) {
    return;
  }
  for (var i = 1u; i < THREADS; i++) {
    if (best[i] > best[0] || (best[i] == best[0] && token[i] < token[0])) {
      best[0] = best[i];
      token[0] = token[i];
    }
  }
  let slot = list[1u + index];
  let row = rows[slot];
  steps[row.log_at + LOG_TOKEN] = token[0];
  steps[row.log_at + LOG_ITERATIONS] = row.iteration;
  rows[slot].log_at = row.log_at + row.log_stride;
  rows[slot].token = token[0];
  rows[slot].position = row.position + 1u;
  rows[slot].start = row.warm;
  var left = row.left - 1u;
  for (var i = 0u; i < row.stops; i++) {
    if (steps[row.stops_at + i] == token[0]) {
      left = 0u;
    }
  }
  rows[slot].left = left;
}
