// Rotary position in pairs (j, j + headDim / 2): q in scratch and the new key in the cache, in place. One workgroup a row.
#include parts/rows.wgsl
#include parts/slots.wgsl
struct Params {
  stage: u32, // STAGE_*
  layer: u32, // within its stage
  stride: u32, // of a scratch row, in elements
  query_at: u32, // q of all heads, in a scratch row
  first_key_head: u32, // that the bound part of the cache begins with; q is rotated with the first part
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> vectors: array<f32>; // rotary tables
@group(0) @binding(2) var<storage, read_write> scratch: array<f32>; // [rows, params.stride]
@group(0) @binding(3) var<storage, read_write> cache: array<f32>; // entries of all sequences
@group(0) @binding(4) var<storage, read> list: array<u32>; // count, then slots or NONE
@group(0) @binding(5) var<storage, read> rows: array<Row>; // [slots]

const HALF = HEAD_DIM / 2u;

fn rotated(a: f32, b: f32, angle: u32) -> vec2<f32> {
  let c = vectors[ROTARY_COS_AT + angle];
  let s = vectors[ROTARY_SIN_AT + angle];
  return vec2<f32>(a * c - b * s, b * c + a * s);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.x;
  if (index >= list[0] || list[1u + index] == NONE) {
    return;
  }
  let row = rows[list[1u + index]];
  let entry = entry_at(row, params.stage, own_slot(row, params.stage, params.layer), row.position);
  let queries = select(0u, HEADS, params.first_key_head == 0u);
  let keys = min(CACHE_HEADS, KV_HEADS - params.first_key_head);
  for (var m = t; m < (queries + keys) * HALF; m += THREADS) {
    let head = m / HALF;
    let j = m % HALF;
    let angle = row.position * HALF + j;
    if (head < queries) {
      let at = index * params.stride + params.query_at + head * HEAD_DIM + j;
      let pair = rotated(scratch[at], scratch[at + HALF], angle);
      scratch[at] = pair.x;
      scratch[at + HALF] = pair.y;
    } else {
      let at = entry + (head - queries) * HEAD_DIM + j;
      let pair = rotated(cache[at], cache[at + HALF], angle);
      cache[at] = pair.x;
      cache[at + HALF] = pair.y;
    }
  }
}
