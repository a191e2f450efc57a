// One row of the pool: a token position in flight. Its index is its slot; a list names the rows of a dispatch.
struct Row {
  position: u32,
  token: u32,
  iteration: u32, // core iterations done
  limit: u32, // most core iterations; the device stops there when it decides (RULE_OFF: the host decides)
  cache_at: u32, // first element of the sequence's cache
  steps_at: u32, // first element of the sequence's steps
  capacity: u32, // positions of the sequence
  core_slots: u32, // core slots of the sequence
  lookup: u32, // LOOKUP_*
  sharing: u32, // SHARING_*
  sharing_slots: u32,
  seed: u32, // of the `randomized` lookup
  start: u32, // START_*: where s_0 comes from
  rule: u32, // RULE_*
  threshold: f32,
  min_iterations: u32, // run unchecked first
  check_every: u32, // iterations
  chain: u32, // index of its token chain
}

const NONE = 0xffffffffu;
