// What a row sees at each position, for kernels that attend or tell what was attended to.
// Needs the bindings cache, steps, list, rows; a workgroup of LANES threads for each of GROUPS heads at a time.
struct Attend {
  stage: u32, // STAGE_*
  layer: u32, // within its stage
  stride: u32, // of a scratch row, in elements
  query_at: u32, // q of all heads, in a scratch row
  out_at: u32, // [heads * headDim], in a scratch row
  peaks_at: u32, // [heads] pairs of largest score and sum of exponents, in a scratch row
  first_head: u32, // of those whose keys lie in the bound part of the cache
  first_key_head: u32, // that this part begins with
}

const LANES = 64u;
const SCALE = 1.0 / sqrt(f32(HEAD_DIM));

// The stretch of cache that holds a position: the row's own sequence, or one of its ancestors.
fn stretch_of(row: Row, position: u32) -> Stretch {
  var found = Stretch(row.cache_at, row.steps_at, row.capacity, row.first, row.parent_at);
  while (position < found.first) {
    let at = found.parent_at;
    found = Stretch(steps[at], steps[at + 1u], steps[at + 2u], steps[at + 3u], steps[at + 4u]);
  }
  return found;
}

var<workgroup> incomplete: atomic<u32>;

// Whether every position has written the slot: always-last and randomized ask.
fn is_complete(p: Attend, row: Row, slot: u32, t: u32) -> bool {
  let asks = p.stage == STAGE_CORE && row.lookup >= LOOKUP_ALWAYS_LAST;
  if (t == 0u) {
    atomicStore(&incomplete, 0u);
  }
  workgroupBarrier();
  if (asks) {
    for (var i = t; i <= row.position; i += LANES * GROUPS) {
      if (slot >= written_slots(row, steps[stretch_of(row, i).steps_at + i] & STEPS_MASK)) {
        atomicStore(&incomplete, 1u);
      }
    }
  }
  workgroupBarrier();
  return asks && atomicLoad(&incomplete) == 0u;
}

// First element of the entry that the row reads at a position, or NONE.
fn find(p: Attend, row: Row, slot: u32, complete: bool, position: u32) -> u32 {
  let stretch = stretch_of(row, position);
  let word = steps[stretch.steps_at + position];
  if (p.stage == STAGE_CODA && (word & CODA_PASSED) == 0u) {
    return NONE;
  }
  var s = slot;
  if (p.stage == STAGE_CORE) {
    s = look_up(row, slot, word, complete, position);
    if (s == NONE) {
      return NONE;
    }
  }
  return entry_of(stretch.cache_at, stretch.capacity, row.core_slots, p.stage, s, position);
}

// First element of a head's key within an entry.
fn key_head_of(p: Attend, head: u32) -> u32 {
  return (head * KV_HEADS / HEADS - p.first_key_head) * HEAD_DIM;
}
