// Softmax attention of one row and head over the cache, 64 positions at a time with a running maximum.
// Which slot is read at each position follows the sequence's cache strategy; absent positions weigh nothing.
#include parts/rows.wgsl
#include parts/slots.wgsl
#include parts/lookup.wgsl
struct Params {
  stage: u32, // STAGE_*
  layer: u32, // within its stage
  stride: u32, // of a scratch row, in elements
  query_at: u32, // q of all heads, in a scratch row
  out_at: u32, // [heads * headDim], in a scratch row
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cache: array<f32>; // entries of all sequences
@group(0) @binding(2) var<storage, read> steps: array<u32>; // one a position of every sequence
@group(0) @binding(3) var<storage, read_write> scratch: array<f32>; // [rows, params.stride]
@group(0) @binding(4) var<storage, read> list: array<u32>; // count, then slots or NONE
@group(0) @binding(5) var<storage, read> rows: array<Row>; // [slots]

const THREADS = 64u;
const PARTS = max(1u, THREADS / HEAD_DIM); // threads that share an output element, each with its own positions
const DIMS = (HEAD_DIM + THREADS - 1u) / THREADS; // output elements a thread
const LOWEST = -3.0e38;
const SCALE = 1.0 / sqrt(f32(HEAD_DIM));

var<workgroup> query: array<f32, HEAD_DIM>;
var<workgroup> entries: array<u32, THREADS>; // where the key of each position lies, or NONE
var<workgroup> exponents: array<f32, THREADS>;
var<workgroup> tree: array<f32, THREADS>;
var<workgroup> incomplete: atomic<u32>;

fn largest(v: f32, t: u32) -> f32 {
  workgroupBarrier();
  tree[t] = v;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (t < half) {
      tree[t] = max(tree[t], tree[t + half]);
    }
    workgroupBarrier();
  }
  return tree[0];
}

fn total(v: f32, t: u32) -> f32 {
  workgroupBarrier();
  tree[t] = v;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (t < half) {
      tree[t] += tree[t + half];
    }
    workgroupBarrier();
  }
  return tree[0];
}

fn find(row: Row, slot: u32, complete: bool, position: u32) -> u32 {
  let word = steps[row.steps_at + position];
  if (params.stage == STAGE_CODA && (word & CODA_PASSED) == 0u) {
    return NONE;
  }
  var s = slot;
  if (params.stage == STAGE_CORE) {
    s = look_up(row, slot, word, complete, position);
    if (s == NONE) {
      return NONE;
    }
  }
  return entry_at(row, params.stage, s, position);
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
  let key_head = head * KV_HEADS / HEADS * HEAD_DIM;
  let own = index * params.stride;
  for (var i = t; i < HEAD_DIM; i += THREADS) {
    query[i] = scratch[own + params.query_at + head * HEAD_DIM + i];
  }

  // always-last and randomized ask whether every position has written the slot
  if (params.stage == STAGE_CORE && row.lookup >= LOOKUP_ALWAYS_LAST) {
    for (var p = t; p < seen; p += THREADS) {
      if (slot >= written_slots(row, steps[row.steps_at + p] & STEPS_MASK)) {
        atomicStore(&incomplete, 1u);
      }
    }
  }
  workgroupBarrier();
  let complete = atomicLoad(&incomplete) == 0u;

  var peak = LOWEST;
  var sum = 0.0; // of this thread's positions
  var out: array<f32, DIMS>;
  for (var first = 0u; first < seen; first += THREADS) {
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
      let i = t % HEAD_DIM + d * THREADS;
      if (t < HEAD_DIM * PARTS && i < HEAD_DIM) {
        for (var j = t / HEAD_DIM; j < min(THREADS, seen - first); j += PARTS) {
          if (entries[j] != NONE) {
            out[d] = fma(exponents[j], cache[entries[j] + KV_HEADS * HEAD_DIM + key_head + i], out[d]);
          }
        }
      }
    }
    workgroupBarrier();
  }
  let scale = 1.0 / total(sum, t);
  for (var d = 0u; d < DIMS; d++) {
    workgroupBarrier();
    tree[t] = out[d];
    workgroupBarrier();
    let i = t + d * THREADS;
    if (t < HEAD_DIM && i < HEAD_DIM) {
      var v = 0.0;
      for (var part = 0u; part < PARTS; part++) {
        v += tree[t + part * HEAD_DIM];
      }
      scratch[own + params.out_at + head * HEAD_DIM + i] = v * scale;
    }
  }
}
