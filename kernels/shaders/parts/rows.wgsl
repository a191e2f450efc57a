// One row of the pool: a token position in flight. Its index is its slot; a list names the rows of a dispatch.
struct Row {
  position: u32,
  token: u32,
  iteration: u32, // core iterations done
  start: u32, // START_*: where s_0 comes from
  cache_at: u32, // where position 0 has, or would have, its entry of slot 0: before the cache of a branch
  steps_at: u32, // where position 0 has, or would have, its word
  capacity: u32, // positions of the sequence's own
  first: u32, // of them
  parent_at: u32, // the Stretch of a branch's parent, in steps; else NONE
  core_slots: u32, // core slots of the sequence
  lookup: u32, // LOOKUP_*
  sharing: u32, // SHARING_*
  sharing_slots: u32,
  seed: u32, // of the `randomized` lookup
  attended_at: u32, // where its attention weights are kept, or NONE
  // the rest is for rows that generate on the device (see parts/log.wgsl)
  rule: u32, // RULE_*
  threshold: f32, // 0: never exits
  min_iterations: u32, // run unchecked first
  check_every: u32, // iterations
  limit: u32, // most core iterations of the token
  warm: u32, // START_* of the tokens to come
  left: u32, // tokens still to be made
  log_at: u32, // the token's entry in the log
  log_stride: u32, // words from an entry to the next
  stops_at: u32, // stop tokens, in the log
  stops: u32, // how many
}

const NONE = 0xffffffffu;

// Where a sequence's own positions lie, as words in steps: what its branches find it by. Fields as in Row.
struct Stretch {
  cache_at: u32,
  steps_at: u32,
  capacity: u32,
  first: u32,
  parent_at: u32,
}
