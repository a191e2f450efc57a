// y = x W^T for up to ROWS rows of x and OUTPUTS rows of W (a tile of 16 for every 64 threads) a workgroup.
// Parts that this needs: an input part (float or int8), a tile part, an epilogue.
// Every output is summed in an order that does not depend on ROWS or on the other rows.
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<u32>; // tiles
@group(0) @binding(2) var<storage, read> vectors: array<f32>; // norm weights, biases, rotary tables
@group(0) @binding(3) var<storage, read> states: array<f32>; // [slots, STATE_STRIDE]
@group(0) @binding(4) var<storage, read_write> scratch: array<f32>; // [rows, params.stride]
@group(0) @binding(5) var<storage, read> list: array<u32>; // count, then slots or NONE

const OUTPUTS = THREADS / 4u; // outputs a workgroup
const STAT_LANES = 32u; // threads that add up the sums of a row
const GATHERED = min(ROWS, 512u / THREADS); // rows whose lanes are added up at a time

var<workgroup> slots: array<u32, ROWS>;
var<workgroup> factor: array<vec2<f32>, ROWS>;
var<workgroup> partial: array<vec2<f32>, GATHERED * THREADS>;
var<workgroup> outs: array<f32, ROWS * OUTPUTS>;
var<private> sums: array<f32, ROWS * HALVES>;

fn index_of(workgroup: vec3<u32>, r: u32) -> u32 {
  return workgroup.y * ROWS + r;
}

fn slot_of(index: u32) -> u32 {
  if (index < list[0]) {
    return list[1u + index];
  }
  return NONE;
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

// The rows' slots, and the factors of the norms on their inputs.
fn begin(workgroup: vec3<u32>, t: u32) {
  if (t < ROWS) {
    slots[t] = slot_of(index_of(workgroup, t));
  }
  if (params.norms == 0u) {
    workgroupBarrier();
    return;
  }
  for (var m = t; m < ROWS * STAT_LANES; m += THREADS) {
    let index = index_of(workgroup, m / STAT_LANES);
    let slot = slot_of(index);
    var sum = vec2<f32>(0.0);
    if (slot != NONE) {
      for (var p = m % STAT_LANES; p < params.stats_parts; p += STAT_LANES) {
        sum += stat(index, slot, p);
      }
    }
    partial[m] = sum;
  }
  workgroupBarrier();
  if (t < ROWS) {
    var total = vec2<f32>(0.0);
    for (var i = 0u; i < STAT_LANES; i++) {
      total += partial[t * STAT_LANES + i];
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
  for (var first = 0u; first < ROWS; first += GATHERED) {
    if (first > 0u) {
      workgroupBarrier();
    }
    for (var r = 0u; r < GATHERED; r++) {
      for (var h = 0u; h < HALVES; h++) {
        partial[r * THREADS + t][h] = sums[(first + r) * HALVES + h];
      }
    }
    workgroupBarrier();
    for (var m = t; m < GATHERED * OUTPUTS; m += THREADS) {
      let output = m % OUTPUTS;
      let row = output % 16u;
      let lane0 = m / OUTPUTS * THREADS + output / 16u * 64u + row % LANE_ROWS;
      var sum = 0.0;
      for (var lane = 0u; lane < 64u / LANE_ROWS; lane++) {
        sum += partial[lane0 + lane * LANE_ROWS][row / LANE_ROWS];
      }
      outs[first * OUTPUTS + m] = sum;
    }
  }
  workgroupBarrier();
}

fn multiply(workgroup: vec3<u32>, t: u32) {
  begin(workgroup, t);
  for (var k = 0u; k < params.columns; k += CHUNK) {
    if (k > 0u) {
      workgroupBarrier();
    }
    load_inputs(workgroup, t, k);
    accumulate(workgroup, t, k);
  }
  gather(t);
}
