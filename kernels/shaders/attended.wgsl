// What a row attended to in a core layer: its largest weight over the heads, by position, kept as the largest over the
// layers of an iteration. Follows attention.wgsl over the same part of the cache, whose peaks and sums it reads. One
// workgroup a row.
#include parts/rows.wgsl
#include parts/slots.wgsl
#include parts/lookup.wgsl
#include parts/visible.wgsl
#include parts/visible-bindings.wgsl
@group(0) @binding(5) var<storage, read> scratch: array<f32>; // [rows, params.stride]
@group(0) @binding(6) var<storage, read_write> attended: array<f32>; // [position + 1] of every row that keeps it

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.x;
  if (index >= list[0] || list[1u + index] == NONE) {
    return;
  }
  let row = rows[list[1u + index]];
  if (row.attended_at == NONE) {
    return;
  }
  let slot = own_slot(row, params.stage, params.layer);
  let complete = is_complete(params, row, slot, t);
  let own = index * params.stride;
  for (var p = t; p <= row.position; p += LANES) {
    var weight = 0.0;
    let at = find(params, row, slot, complete, p);
    if (at != NONE) {
      let end = min(HEADS, params.first_head + CACHE_HEADS * (HEADS / KV_HEADS));
      for (var head = params.first_head; head < end; head++) {
        let peak = own + params.peaks_at + 2u * head;
        let query = own + params.query_at + head * HEAD_DIM;
        let key = at + key_head_of(params, head);
        var score = 0.0;
        for (var i = 0u; i < HEAD_DIM; i++) {
          score = fma(scratch[query + i], cache[key + i], score);
        }
        weight = max(weight, exp(min(score * SCALE - scratch[peak], 0.0)) / scratch[peak + 1u]);
      }
    }
    if (params.layer > 0u || params.first_head > 0u) {
      weight = max(weight, attended[row.attended_at + p]);
    }
    attended[row.attended_at + p] = weight;
  }
}
