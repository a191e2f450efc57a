// Epilogue of qkv: bias, rotary on q and k where its pairs are neighbours (else rotate.wgsl follows), and the new key and
// value into the cache; a key that norm_qk.wgsl is still to norm goes behind q. Outputs: q, k, v heads.
const QUERIES = HEADS * HEAD_DIM;
const KEYS = KV_HEADS * HEAD_DIM;
const HALF = HEAD_DIM / 2u;

fn biased(p: Product, m: u32, n: u32) -> f32 {
  if (p.bias_at == NONE || n >= QUERIES + KEYS) {
    return outs[m];
  }
  return outs[m] + vectors[p.bias_at + n];
}

// Where an element of all heads' keys, then values, lies in an entry of the dispatch's part of the cache.
fn in_entry(p: Product, element: u32) -> u32 {
  return element / KEYS * CACHE_HEADS * HEAD_DIM + element % KEYS - p.first_key;
}

fn finish_qkv(p: Product, place: Place, t: u32) {
  for (var m = 2u * t; m < ROWS * OUTPUTS; m += 2u * THREADS) {
    let r = m / OUTPUTS;
    let n = place.first_output + m % OUTPUTS;
    if (n >= p.outputs || !is_live(r)) {
      continue;
    }
    let row = rows[slots[r]];
    var pair = vec2<f32>(biased(p, m, n), biased(p, m + 1u, n + 1u));
    if (INTERLEAVED == 1u && n < QUERIES + KEYS) {
      let angle = row.position * HALF + n % HEAD_DIM / 2u;
      let c = vectors[ROTARY_COS_AT + angle];
      let s = vectors[ROTARY_SIN_AT + angle];
      pair = vec2<f32>(pair.x * c - pair.y * s, pair.y * c + pair.x * s);
    }
    if (n < QUERIES + KEYS * QK_NORM) {
      let at = (place.first_row + r) * p.stride + p.out_at + n;
      scratch[at] = pair.x;
      scratch[at + 1u] = pair.y;
    } else {
      let at = entry_at(row, p.stage, own_slot(row, p.stage, p.layer), row.position) + in_entry(p, n - QUERIES);
      cache[at] = pair.x;
      cache[at + 1u] = pair.y;
    }
  }
  if (place.first_output == 0u && t < ROWS && is_live(t)) {
    let row = rows[slots[t]];
    let at = row.steps_at + row.position;
    if (p.stage == STAGE_CORE) {
      steps[at] = (steps[at] & CODA_PASSED) | (row.iteration * CORE_LAYERS + p.layer + 1u);
    }
    if (p.stage == STAGE_CODA) {
      steps[at] |= CODA_PASSED;
    }
  }
}
