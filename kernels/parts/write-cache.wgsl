// Epilogue of qkv: bias, rotary on q and k where its pairs are neighbours (else rotate.wgsl follows), and the new key and
// value into the cache. Outputs: q, k, v heads.
@group(0) @binding(6) var<storage, read> rows: array<Row>; // [slots]
@group(0) @binding(7) var<storage, read_write> cache: array<f32>; // entries of all sequences
@group(0) @binding(8) var<storage, read_write> steps: array<u32>; // one a position of every sequence

const QUERIES = HEADS * HEAD_DIM;
const KEYS = KV_HEADS * HEAD_DIM;
const HALF = HEAD_DIM / 2u;

fn biased(m: u32, n: u32) -> f32 {
  if (params.bias_at == NONE || n >= QUERIES + KEYS) {
    return outs[m];
  }
  return outs[m] + vectors[params.bias_at + n];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  if (workgroup.y * ROWS >= list[0] || (ROWS == 1u && list[1u + workgroup.y] == NONE)) {
    return;
  }
  multiply(workgroup, t);
  for (var m = 2u * t; m < ROWS * OUTPUTS; m += 2u * THREADS) {
    let r = m / OUTPUTS;
    let n = workgroup.x * OUTPUTS + m % OUTPUTS;
    if (n >= params.outputs || !is_live(r)) {
      continue;
    }
    let row = rows[slots[r]];
    var pair = vec2<f32>(biased(m, n), biased(m + 1u, n + 1u));
    if (INTERLEAVED == 1u && n < QUERIES + KEYS) {
      let angle = row.position * HALF + n % HEAD_DIM / 2u;
      let c = vectors[ROTARY_COS_AT + angle];
      let s = vectors[ROTARY_SIN_AT + angle];
      pair = vec2<f32>(pair.x * c - pair.y * s, pair.y * c + pair.x * s);
    }
    if (n < QUERIES) {
      let at = index_of(workgroup, r) * params.stride + params.out_at + n;
      scratch[at] = pair.x;
      scratch[at + 1u] = pair.y;
    } else {
      let at = entry_at(row, params.stage, own_slot(row, params.stage, params.layer), row.position) + n - QUERIES;
      cache[at] = pair.x;
      cache[at + 1u] = pair.y;
    }
  }
  if (workgroup.x == 0u && t < ROWS && is_live(t)) {
    let row = rows[slots[t]];
    let at = row.steps_at + row.position;
    if (params.stage == STAGE_CORE) {
      steps[at] = (steps[at] & CODA_PASSED) | (row.iteration * CORE_LAYERS + params.layer + 1u);
    }
    if (params.stage == STAGE_CODA) {
      steps[at] |= CODA_PASSED;
    }
  }
}
