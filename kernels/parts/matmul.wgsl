// y = x W^T for up to ROWS rows of x and 64 rows of W (four tiles of 16) a workgroup.
// Parts that this needs: an input part (float or int8), a tile part, an epilogue.
// Every output is summed in an order that does not depend on ROWS or on the other rows.
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<u32>; // tiles
@group(0) @binding(2) var<storage, read> vectors: array<f32>; // norm weights, biases, rotary tables
@group(0) @binding(3) var<storage, read> states: array<f32>; // [slots, STATE_STRIDE]
@group(0) @binding(4) var<storage, read_write> scratch: array<f32>; // [rows, params.stride]
@group(0) @binding(5) var<storage, read> list: array<u32>; // count, then slots or NONE

const OUTPUTS = 64u; // outputs a workgroup

var<workgroup> slots: array<u32, ROWS>;
var<workgroup> factor: array<vec2<f32>, ROWS>;
var<workgroup> partial: array<vec2<f32>, 256>;
var<workgroup> outs: array<f32, ROWS * OUTPUTS>;
var<private> sums: array<f32, ROWS * HALVES>;

fn index_of(workgroup: vec3<u32>, r: u32) -> u32 {
  return workgroup.y * ROWS + r;
}

fn is_live(r: u32) -> bool {
  return slots[r] != NONE;
}

fn stat(index: u32, slot: u32, part: u32) -> vec2<f32> {
  if (params.source == SOURCE_STATE) {
    let at = slot * STATE_STRIDE + params.stats_at + 2u * part;
    return vec2<f32>(states[at], states[at + 1u]);
  }
  let at = index * params.stride + params.stats_at + 2u * part;
  return vec2<f32>(scratch[at], scratch[at + 1u]);
}

// The rows' slots, and the factors of the norms on their inputs: 32 threads a row.
fn begin(workgroup: vec3<u32>, t: u32) {
  if (t < ROWS) {
    let index = index_of(workgroup, t);
    slots[t] = NONE;
    if (index < list[0]) {
      slots[t] = list[1u + index];
    }
  }
  workgroupBarrier();
  let r = t / 32u;
  var sum = vec2<f32>(0.0);
  if (r < ROWS && params.norms > 0u) {
    if (is_live(r)) {
      for (var p = t % 32u; p < params.stats_parts; p += 32u) {
        sum += stat(index_of(workgroup, r), slots[r], p);
      }
    }
  }
  partial[t] = sum;
  workgroupBarrier();
  if (t < ROWS) {
    var total = vec2<f32>(0.0);
    for (var i = 0u; i < 32u; i++) {
      total += partial[t * 32u + i];
    }
    factor[t] = factors(total, params.columns, params.eps);
  }
  workgroupBarrier();
}

fn raw_input(index: u32, slot: u32, k: u32) -> f32 {
  if (params.source == SOURCE_STATE) {
    return states[slot * STATE_STRIDE + params.source_at + k];
  }
  let at = index * params.stride + params.source_at + k;
  let v = scratch[at];
  if (params.source == SOURCE_GATED) {
    return v / (1.0 + exp(min(-v, 80.0))) * scratch[at + params.columns];
  }
  return v;
}

// Input k of row r, normalised; the first workgroup of a row keeps what a residual will need.
fn input(workgroup: vec3<u32>, r: u32, k: u32) -> f32 {
  if (k >= params.columns || !is_live(r)) {
    return 0.0;
  }
  let index = index_of(workgroup, r);
  var v = raw_input(index, slots[r], k);
  if (params.norms == 2u) {
    v = v * factor[r].x * vectors[params.norm_a + k];
  }
  if (params.keep_at != NONE && workgroup.x == 0u) {
    scratch[index * params.stride + params.keep_at + k] = v;
  }
  if (params.norms == 1u) {
    v = v * factor[r].x * vectors[params.norm_a + k];
  }
  if (params.norms == 2u) {
    v = v * factor[r].y * vectors[params.norm_b + k];
  }
  return v;
}

// Adds up what the lanes of each output hold, into outs [ROWS, OUTPUTS].
fn gather(t: u32) {
  for (var r = 0u; r < ROWS; r++) {
    for (var h = 0u; h < HALVES; h++) {
      partial[t][h] = sums[r * HALVES + h];
    }
    workgroupBarrier();
    if (t < OUTPUTS) {
      let row = t % 16u;
      let first = t / 16u * 64u + row % LANE_ROWS;
      var sum = 0.0;
      for (var lane = 0u; lane < 64u / LANE_ROWS; lane++) {
        sum += partial[first + lane * LANE_ROWS][row / LANE_ROWS];
      }
      outs[r * OUTPUTS + t] = sum;
    }
    workgroupBarrier();
  }
}

fn multiply(workgroup: vec3<u32>, t: u32) {
  begin(workgroup, t);
  for (var k = 0u; k < params.columns; k += CHUNK) {
    load_inputs(workgroup, t, k);
    accumulate(workgroup, t, k);
    workgroupBarrier();
  }
  gather(t);
}
