/**
 * The parts of rope_scaling and rope_parameters of config.json.
 */
import { one, positive, text } from "./kinds.ts";

/** Parts of the object that describes rotary position. */
export const ROPE = {
  rope_type: { kind: text },
  type: { kind: text },
  rope_theta: { kind: positive },
  factor: { kind: positive },
  low_freq_factor: { kind: positive },
  high_freq_factor: { kind: positive },
  original_max_position_embeddings: { kind: positive },
  partial_rotary_factor: { kind: one },
} as const;
