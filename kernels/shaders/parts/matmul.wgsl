// y = x W^T for up to ROWS rows of x and OUTPUTS rows of W (a tile of 16 for every 64 threads) at a time.
// Parts that this needs: an input part (float or int8), a tile part, an epilogue; and the bindings weights, vectors,
// states, scratch, list. Every output is summed in an order that does not depend on ROWS or on the other rows.
const OUTPUTS = THREADS / 4u;
const STAT_LANES = 32u; // threads that add up the sums of a row
const GATHERED = min(ROWS, 512u / THREADS); // rows whose lanes are added up at a time

// Which rows and outputs: first row of the call, first of OUTPUTS.
struct Place {
  first_row: u32,
  first_output: u32,
}

var<workgroup> slots: array<u32, ROWS>;
var<workgroup> factor: array<vec2<f32>, ROWS>;
var<workgroup> partial: array<vec2<f32>, GATHERED * THREADS>;
var<workgroup> outs: array<f32, ROWS * OUTPUTS>;
var<private> sums: array<f32, ROWS * HALVES>;

fn slot_of(index: u32) -> u32 {
  if (index < list[0]) {
    return list[1u + index];
  }
  return NONE;
}

fn is_live(r: u32) -> bool {
  return slots[r] != NONE;
}

fn stat(p: Product, index: u32, slot: u32, part: u32) -> vec2<f32> {
  if (p.source == SOURCE_STATE) {
    let at = slot * STATE_STRIDE + p.stats_at + 2u * part;
    return vec2<f32>(states[at], states[at + 1u]);
  }
  let at = index * p.stride + p.stats_at + 2u * part;
  return vec2<f32>(scratch[at], scratch[at + 1u]);
}

// The rows' slots, and the factors of the norms on their inputs.
fn prepare(p: Product, place: Place, t: u32) {
  if (t < ROWS) {
    slots[t] = slot_of(place.first_row + t);
  }
  if (p.norms == 0u) {
    workgroupBarrier();
    return;
  }
  for (var m = t; m < ROWS * STAT_LANES; m += THREADS) {
    let index = place.first_row + m / STAT_LANES;
    let slot = slot_of(index);
    var sum = vec2<f32>(0.0);
    if (slot != NONE) {
      for (var part = m % STAT_LANES; part < p.stats_parts; part += STAT_LANES) {
        sum += stat(p, index, slot, part);
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
    factor[t] = factors(total, p.columns, p.eps);
  }
  workgroupBarrier();
}

fn raw_input(p: Product, index: u32, slot: u32, k: u32) -> f32 {
  if (p.source == SOURCE_STATE) {
    return states[slot * STATE_STRIDE + p.source_at + k];
  }
  let at = index * p.stride + p.source_at + k;
  let v = scratch[at];
  if (p.source == SOURCE_GATED) {
    return v / (1.0 + exp(min(-v, 80.0))) * scratch[at + p.columns];
  }
  return v;
}

// Input k of row r, normalised; the first workgroup of a row keeps what a residual will need.
fn input(p: Product, place: Place, r: u32, k: u32) -> f32 {
  if (k >= p.columns || !is_live(r)) {
    return 0.0;
  }
  let index = place.first_row + r;
  var v = raw_input(p, index, slots[r], k);
  if (p.norms == 2u) {
    v = v * factor[r].x * vectors[p.norm_a + k];
  }
  if (p.keep_at != NONE && place.first_output == 0u) {
    scratch[index * p.stride + p.keep_at + k] = v;
  }
  if (p.norms == 1u) {
    v = v * factor[r].x * vectors[p.norm_a + k];
  }
  if (p.norms == 2u) {
    v = v * factor[r].y * vectors[p.norm_b + k];
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
