// Norms over all queries of a row, in place, and over all of its new keys, which lie behind them, into the cache. One
// workgroup a row.
#include parts/rows.wgsl
#include parts/slots.wgsl
#include parts/reduce.wgsl
struct Params {
  stage: u32, // STAGE_*
  layer: u32, // within its stage
  stride: u32, // of a scratch row, in elements
  query_at: u32, // q of all heads, in a scratch row; then k
  first_key_head: u32, // that the bound part of the cache begins with; q is normed with the first part
  query_norm: u32, // in elements of `vectors`
  key_norm: u32,
  eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> vectors: array<f32>;
@group(0) @binding(2) var<storage, read_write> scratch: array<f32>; // [rows, params.stride]
@group(0) @binding(3) var<storage, read_write> cache: array<f32>; // entries of all sequences
@group(0) @binding(4) var<storage, read> list: array<u32>; // count, then slots or NONE
@group(0) @binding(5) var<storage, read> rows: array<Row>; // [slots]

const QUERIES = HEADS * HEAD_DIM;
const KEYS = KV_HEADS * HEAD_DIM;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.x;
  if (index >= list[0] || list[1u + index] == NONE) {
    return;
  }
  let row = rows[list[1u + index]];
  let query = index * params.stride + params.query_at;
  let key = query + QUERIES;
  let entry = entry_at(row, params.stage, own_slot(row, params.stage, params.layer), row.position);
  var squares = vec4<f32>(0.0);
  for (var k = t; k < QUERIES; k += THREADS) {
    squares.x += scratch[query + k] * scratch[query + k];
  }
  for (var k = t; k < KEYS; k += THREADS) {
    squares.y += scratch[key + k] * scratch[key + k];
  }
  let total = reduce(squares, t);
  let of_query = inverseSqrt(total.x / f32(QUERIES) + params.eps);
  let of_key = inverseSqrt(total.y / f32(KEYS) + params.eps);
  if (params.first_key_head == 0u) {
    for (var k = t; k < QUERIES; k += THREADS) {
      scratch[query + k] = scratch[query + k] * of_query * vectors[params.query_norm + k];
    }
  }
  let first = params.first_key_head * HEAD_DIM;
  for (var k = t; k < min(CACHE_HEADS * HEAD_DIM, KEYS - first); k += THREADS) {
    cache[entry + k] = scratch[key + first + k] * of_key * vectors[params.key_norm + first + k];
  }
}
