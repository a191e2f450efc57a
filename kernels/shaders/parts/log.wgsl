// The log of a chunk of tokens made on the device; it lies in a region of `steps`. An entry a token: its limit, which
// the host writes (NONE: no such token), then what the device found, then the exit rule's value at every checked
// iteration (f32 bits).
const LOG_LIMIT = 0u;
const LOG_TOKEN = 1u;
const LOG_ITERATIONS = 2u;
const LOG_EXITED = 3u;
const LOG_CHECKS = 4u; // values that follow
const LOG_VALUES = 5u;
