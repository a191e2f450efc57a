// Softmax attention of one row over the cache, 64 positions at a time with a running maximum: one head for each 64
// threads. Which slot is read at each position follows the cache strategy; absent positions weigh nothing.
const PARTS = max(1u, LANES / HEAD_DIM); // threads that share an output element, each with its own positions
const DIMS = (HEAD_DIM + LANES - 1u) / LANES; // output elements a thread
const LOWEST = -3.0e38;

var<workgroup> query: array<f32, GROUPS * HEAD_DIM>;
var<workgroup> entries: array<u32, GROUPS * LANES>; // where the key of each position lies, or NONE
var<workgroup> exponents: array<f32, GROUPS * LANES>;
var<workgroup> shares: array<f32, GROUPS * LANES>;

// Both are taken over the 64 threads of a head, by every thread in the same order.
fn largest(v: f32, t: u32) -> f32 {
  shares[t] = v;
  workgroupBarrier();
  var most = LOWEST;
  for (var i = t / LANES * LANES; i < t / LANES * LANES + LANES; i++) {
    most = max(most, shares[i]);
  }
  return most;
}

fn total(v: f32, t: u32) -> f32 {
  shares[t] = v;
  workgroupBarrier();
  var sum = 0.0;
  for (var i = t / LANES * LANES; i < t / LANES * LANES + LANES; i++) {
    sum += shares[i];
  }
  return sum;
}

// seen: positions that the row may see, its own the last; the same for all threads. A head past the last does nothing.
fn attend(p: Attend, row: Row, seen: u32, index: u32, head: u32, t: u32) {
  let slot = own_slot(row, p.stage, p.layer);
  let is_on = head < HEADS;
  let key_head = key_head_of(head);
  let own = index * p.stride;
  let lane = t % LANES;
  let group = t / LANES * LANES; // of lanes
  let first_query = t / LANES * HEAD_DIM;
  if (is_on) {
    for (var i = lane; i < HEAD_DIM; i += LANES) {
      query[first_query + i] = scratch[own + p.query_at + head * HEAD_DIM + i];
    }
  }
  let complete = is_complete(p, row, slot, t);

  var peak = LOWEST;
  var sum = 0.0; // of this thread's positions
  var out = array<f32, DIMS>();
  for (var first = 0u; first < seen; first += LANES) {
    let position = first + lane;
    var at = NONE;
    var score = LOWEST;
    if (is_on && position < seen) {
      at = find(p, row, slot, complete, position);
    }
    if (at != NONE) {
      score = 0.0;
      for (var i = 0u; i < HEAD_DIM; i++) {
        score = fma(query[first_query + i], cache[at + key_head + i], score);
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
      let i = lane % HEAD_DIM + d * LANES;
      if (lane < HEAD_DIM * PARTS && i < HEAD_DIM) {
        for (var j = lane / HEAD_DIM; j < min(LANES, seen - first); j += PARTS) {
          let entry = entries[group + j];
          if (entry != NONE) {
            out[d] = fma(exponents[group + j], cache[entry + KV_HEADS * HEAD_DIM + key_head + i], out[d]);
          }
        }
      }
    }
    workgroupBarrier();
  }
  let all = total(sum, t);
  if (is_on && lane == 0u) {
    scratch[own + p.peaks_at + 2u * head] = peak;
    scratch[own + p.peaks_at + 2u * head + 1u] = all;
  }
  let scale = 1.0 / all;
  for (var d = 0u; d < DIMS; d++) {
    workgroupBarrier();
    shares[t] = out[d];
    workgroupBarrier();
    let i = lane + d * LANES;
    if (is_on && lane < HEAD_DIM && i < HEAD_DIM) {
      var v = 0.0;
      for (var part = 0u; part < PARTS; part++) {
        v += shares[group + lane + part * HEAD_DIM];
      }
      scratch[own + p.out_at + head * HEAD_DIM + i] = v * scale;
    }
  }
}
