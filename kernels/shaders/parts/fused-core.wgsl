// All core iterations of a row in one workgroup, for small models: no dispatch between blocks or iterations, and none
// that does nothing once the row has exited. Inputs of every product fit one chunk.
struct FusedCore {
  adapter: Product,
  products: array<Product, 4u * CORE_LAYERS>, // qkv, projection, fc, projection of every block
  attends: array<Attend, CORE_LAYERS>,
  end: StageEnd,
}
@group(0) @binding(0) var<uniform> params: FusedCore;
@group(0) @binding(1) var<storage, read> weights: array<u32>; // tiles of all core matrices
@group(0) @binding(2) var<storage, read> vectors: array<f32>; // norm weights, biases, rotary tables
@group(0) @binding(3) var<storage, read_write> states: array<f32>; // [slots, STATE_STRIDE]
@group(0) @binding(4) var<storage, read_write> scratch: array<f32>; // [rows, stride]
@group(0) @binding(5) var<storage, read> list: array<u32>; // count, then slots or NONE
@group(0) @binding(6) var<storage, read_write> rows: array<Row>; // [slots]
@group(0) @binding(7) var<storage, read_write> cache: array<f32>; // entries of all sequences
@group(0) @binding(8) var<storage, read_write> steps: array<u32>; // one a position of every sequence, and the log

const GROUPS = THREADS / LANES; // heads at a time

var<workgroup> position: u32;
var<workgroup> is_done: u32;

// What one phase has stored, the next one reads.
fn sync_memory() {
  storageBarrier();
  workgroupBarrier();
}

fn load_all(p: Product, index: u32, t: u32) {
  prepare(p, Place(index, 0u), t);
  load_inputs(p, Place(index, 0u), t, 0u);
}

fn multiply_block(p: Product, place: Place, t: u32) {
  for (var h = 0u; h < HALVES; h++) {
    sums[h] = 0.0;
  }
  accumulate(p, place, t, 0u);
  gather(t);
}

fn multiply(p: Product, index: u32, t: u32) {
  load_all(p, index, t);
  for (var output = 0u; output < p.outputs; output += OUTPUTS) {
    multiply_block(p, Place(index, output), t);
    finish(p, Place(index, output), t);
    workgroupBarrier();
  }
  sync_memory();
}

fn multiply_qkv(p: Product, index: u32, t: u32) {
  load_all(p, index, t);
  for (var output = 0u; output < p.outputs; output += OUTPUTS) {
    multiply_block(p, Place(index, output), t);
    finish_qkv(p, Place(index, output), t);
    workgroupBarrier();
  }
  sync_memory();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let index = workgroup.x;
  if (index >= list[0] || list[1u + index] == NONE) {
    return;
  }
  let slot = list[1u + index];
  if (t == 0u) {
    position = rows[slot].position;
  }
  let seen = workgroupUniformLoad(&position) + 1u;
  loop {
    multiply(params.adapter, index, t);
    for (var layer = 0u; layer < CORE_LAYERS; layer++) {
      multiply_qkv(params.products[4u * layer], index, t);
      for (var head = 0u; head < HEADS; head += GROUPS) {
        attend(params.attends[layer], rows[slot], seen, index, head + t / LANES, t);
      }
      sync_memory();
      multiply(params.products[4u * layer + 1u], index, t);
      multiply(params.products[4u * layer + 2u], index, t);
      multiply(params.products[4u * layer + 3u], index, t);
    }
    let exits = exit_test(params.end, rows[slot], slot, index, t);
    if (t == 0u) {
      is_done = u32(exits);
    }
    sync_memory();
    if (workgroupUniformLoad(&is_done) == 1u) {
      break;
    }
  }
}
