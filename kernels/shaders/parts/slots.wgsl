// Which cache slot a block step writes, and which one a row reads at a position: engine/cache-strategy.ts on the device.
const STAGE_PRELUDE = 0u;
const STAGE_CORE = 1u;
const STAGE_CODA = 2u;

const LOOKUP_PRESENT = 0u; // full, skip, strict: what is missing is not seen
const LOOKUP_LATEST = 1u; // latest, available
const LOOKUP_ALWAYS_LAST = 2u;
const LOOKUP_RANDOMIZED = 3u;

const SHARING_NONE = 0u;
const SHARING_CYCLIC = 1u;
const SHARING_RUNS = 2u;
const SHARING_ANCHOR = 3u;
const ANCHORED = 32u;
const ANCHOR_WINDOW = 4u;

// A position's word in `steps`: core block steps that it has run, and whether it has passed the coda.
const CODA_PASSED = 0x80000000u;
const STEPS_MASK = 0x7fffffffu;

const ENTRY = 2u * CACHE_HEADS * HEAD_DIM; // elements: a key, then a value, of the heads in one part of the cache

fn core_slot(row: Row, step: u32) -> u32 {
  switch row.sharing {
    case SHARING_CYCLIC: {
      return step % row.sharing_slots;
    }
    case SHARING_RUNS: {
      return step / row.sharing_slots;
    }
    case SHARING_ANCHOR: {
      return select(ANCHORED + (step - ANCHORED) % ANCHOR_WINDOW, step, step < ANCHORED);
    }
    default: {
      return step;
    }
  }
}

fn written_slots(row: Row, steps: u32) -> u32 {
  switch row.sharing {
    case SHARING_CYCLIC: {
      return min(steps, row.sharing_slots);
    }
    case SHARING_RUNS: {
      return (steps + row.sharing_slots - 1u) / row.sharing_slots;
    }
    case SHARING_ANCHOR: {
      return min(steps, ANCHORED + ANCHOR_WINDOW);
    }
    default: {
      return steps;
    }
  }
}

// Slot that the row's next block step writes: of its stage, counted from 0.
fn own_slot(row: Row, stage: u32, layer: u32) -> u32 {
  if (stage == STAGE_CORE) {
    return core_slot(row, row.iteration * CORE_LAYERS + layer);
  }
  return layer;
}

// First element of an entry of the row's own sequence.
fn entry_at(row: Row, stage: u32, slot: u32, position: u32) -> u32 {
  return entry_of(row.cache_at, row.capacity, row.core_slots, stage, slot, position);
}

fn entry_of(cache_at: u32, capacity: u32, core_slots: u32, stage: u32, slot: u32, position: u32) -> u32 {
  var s = slot;
  if (stage == STAGE_CORE) {
    s += PRELUDE_LAYERS;
  }
  if (stage == STAGE_CODA) {
    s += PRELUDE_LAYERS + core_slots;
  }
  return cache_at + (s * capacity + position) * ENTRY;
}
