// Softmax attention of one row and head over the cache, 64 positions at a time with a running maximum.
// Which slot is read at each position follows the sequence's cache strategy; absent positions weigh nothing.
#include parts/rows.wgsl
#include parts/slots.wgsl
#include parts/lookup.wgsl
#include parts/visible.wgsl
@group(0) @binding(5) var<storage, read_write> scratch: array<f32>; // [rows, params.stride]

const PARTS = max(1u, LANES / HEAD_DIM); // threads that share an output element, each with its own positions
const DIMS = (HEAD_DIM + LANES - 1u) / LANES; // output elements a thread
const LOWEST = -3.0e38;

var<workgroup> query: array<f32, HEAD_DIM>;
var<workgroup> entries: array<u32, LANES>; // where the key of each position lies, or NONE
var<workgroup> exponents: array<f32, LANES>;
var<workgroup> tree: array<f32, LANES>;

// Both are taken over the 64 threads, by every thread in the same order.
fn largest(v: f32, t: u32) -> f32 {
  tree[t] = v;
  workgroupBarrier();
  var most = LOWEST;
  for (var i = 0u; i < LANES; i++) {
    most = max(most, tree[i]);
  }
  return most;
}

fn total(v: f32, t: u32) -> f32 {
  tree[t] = v;
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < LANES; i++) {
    sum += tree[i];
  }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.y;
  if (index >= list[0] || list[1u + index] == NONE) {
    return;
  }
  let row = rows[list[1u + index]];
  let seen = row.position + 1u;
  let slot = own_slot(row, params.stage, params.layer);
  let head = workgroup.x;
  let key_head = key_head_of(head);
  let own = index * params.stride;
  for (var i = t; i < HEAD_DIM; i += LANES) {
    query[i] = scratch[own + params.query_at + head * HEAD_DIM + i];
  }

  let complete = is_complete(row, slot, t);

  var peak = LOWEST;
  var sum = 0.0; // of this thread's positions
  var out: array<f32, DIMS>;
  for (var first = 0u; first < seen; first += LANES) {
    let p = first + t;
    var at = NONE;
    var score = LOWEST;
    if (p < seen) {
      at = find(row, slot, complete, p);
    }
    if (at != NONE) {
      score = 0.0;
      for (var i = 0u; i < HEAD_DIM; i++) {
        score = fma(query[i], cache[at + key_head + i], score);
      }
      score *= SCALE;
    }
    let new_peak = max(peak, largest(score, t));
    let shrink = exp(peak - new_peak);
    peak = new_peak;
    entries[t] = at;
    exponents[t] = 0.0;
    if (at != NONE) {
      exponents[t] = exp(score - peak);
    }
    sum = sum * shrink + exponents[t];
    workgroupBarrier();
    for (var d = 0u; d < DIMS; d++) {
      out[d] *= shrink;
      let i = t % HEAD_DIM + d * LANES;
      if (t < HEAD_DIM * PARTS && i < HEAD_DIM) {
        for (var j = t / HEAD_DIM; j < min(LANES, seen - first); j += PARTS) {
          if (entries[j] != NONE) {
            out[d] = fma(exponents[j], cache[entries[j] + KV_HEADS * HEAD_DIM + key_head + i], out[d]);
          }
        }
      }
    }
    workgroupBarrier();
  }
  let all = total(sum, t);
  if (t == 0u) {
    scratch[own + params.peaks_at + 2u * head] = peak;
    scratch[own + params.peaks_at + 2u * head + 1u] = all;
  }
  let scale = 1.0 / all;
  for (var d = 0u; d < DIMS; d++) {
    workgroupBarrier();
    tree[t] = out[d];
    workgroupBarrier();
    let i = t + d * LANES;
    if (t < HEAD_DIM && i < HEAD_DIM) {
      var v = 0.0;
      for (var part = 0u; part < PARTS; part++) {
        v += tree[t + part * HEAD_DIM];
      }
      scratch[own + params.out_at + head * HEAD_DIM + i] = v * scale;
    }
  }
}
