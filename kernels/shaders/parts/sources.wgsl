const SOURCE_SCRATCH = 0u; // a scratch row
const SOURCE_STATE = 1u; // a state row
const SOURCE_GATED = 2u; // silu(gate) * up of a scratch row that holds [gate | up]
