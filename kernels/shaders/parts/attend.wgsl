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
  var most = vec4<f32>(LOWEST);
  for (var i = t / LANES * LANES; i < t / LANES * LANES + LANES; i += 4u) {
    most = max(most, vec4<f32>(shares[i], shares[i + 1u], shares[i + 2u], shares[i + 3u]));
  }
  return max(max(most.x, most.y), max(most.z, most.w));
}

fn total(v: f32, t: u32) -> f32 {
  shares[t] = v;
  workgroupBarrier();
  var sum = vec4<f32>();
  for (var i = t / LANES * LANES; i < t / LANES * LANES + LANES; i += 4u) {
    sum += vec4<f32>(shares[i], shares[i + 1u], shares[i + 2u], shares[i + 3u]);
  }
  return sum.x + sum.y + sum.z + sum.w;
}

// q . k of a head. Four elements at a time, here and below, so that their loads are under way together.
fn score_of(first_query: u32, key: u32) -> f32 {
  var score = 0.0;
  var i = 0u;
  for (; i + 4u <= HEAD_DIM; i += 4u) {
    let q = first_query + i;
    let k = key + i;
    score += dot(
      vec4<f32>(query[q], query[q + 1u], query[q + 2u], query[q + 3u]),
      vec4<f32>(cache[k], cache[k + 1u], cache[k + 2u], cache[k + 3u]),
    );
  }
  for (; i < HEAD_DIM; i++) {
    score = fma(query[first_query + i], cache[key + i], score);
  }
  return score;
}

// The weighed element of one position's value, `j` of the lanes; 0 where there is no position.
fn weighed(j: u32, end: u32, element: u32) -> f32 {
  let lane = min(j, end - 1u);
  let entry = entries[lane];
  let absent = j >= end || entry == NONE;
  return select(exponents[lane] * cache[select(entry + element, 0u, absent)], 0.0, absent);
}

// seen: positions that the row may see, its own the last; the same for all threads. A head past the last does nothing.
fn attend(p: Attend, row: Row, seen: u32, index: u32, head: u32, t: u32) {
  let slot = own_slot(row, p.stage, p.layer);
  let is_on = head < HEADS;
  let key_head = key_head_of(p, head);
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
      score = score_of(first_query, at + key_head) * SCALE;
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
        let element = CACHE_HEADS * HEAD_DIM + key_head + i;
        let end = group + min(LANES, seen - first);
        for (var j = group + lane / HEAD_DIM; j < end; j += 4u * PARTS) {
          let a = weighed(j, end, element) + weighed(j + PARTS, end, element);
          out[d] += a + (weighed(j + 2u * PARTS, end, element) + weighed(j + 3u * PARTS, end, element));
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
