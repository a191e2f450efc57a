// The slot that a row reads at a position, or NONE: resolveSlots of engine/cache-strategy.ts.
fn largest_below(slot: u32, below: u32) -> u32 {
  let residue = slot % CORE_LAYERS;
  if (below <= residue) {
    return NONE;
  }
  return below - 1u - (below - 1u - residue) % CORE_LAYERS;
}

// A uniform whole number below `below`, always the same for a sequence, row, slot and position.
fn pick(row: Row, slot: u32, position: u32, below: u32) -> u32 {
  var x = row.seed ^ (row.position * 0x9e3779b1u) ^ (slot * 0x85ebca6bu) ^ (position * 0xc2b2ae35u);
  x = (x ^ (x >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  return (x ^ (x >> 16u)) % below;
}

// complete: every position that the row may see has written the slot
fn look_up(row: Row, slot: u32, word: u32, complete: bool, position: u32) -> u32 {
  let written = written_slots(row, word & STEPS_MASK);
  let present = slot < written;
  if (complete || (present && row.lookup < LOOKUP_ALWAYS_LAST)) {
    return slot;
  }
  switch row.lookup {
    case LOOKUP_LATEST: {
      return largest_below(slot, min(written, slot + 1u));
    }
    case LOOKUP_ALWAYS_LAST: {
      return largest_below(slot, written);
    }
    case LOOKUP_RANDOMIZED: {
      let largest = largest_below(slot, min(written, slot + 1u));
      if (largest == NONE) {
        return NONE;
      }
      return largest - CORE_LAYERS * pick(row, slot, position, largest / CORE_LAYERS + 1u);
    }
    default: {
      return NONE;
    }
  }
}
