// Where a row's s_0 comes from.
const START_ZERO = 0u; // nowhere: zeros, or e
const START_GIVEN = 1u; // s_0 lies in states
const START_NORMALISED = 2u; // ln_f of what lies in states
