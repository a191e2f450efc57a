/**
 * The parts of rope_scaling and rope_parameters of config.json.
 */
import { one, positive, text } from "./kinds.ts";

/** Parts of the object that describes rotary position. */
export const ROPE = {
  rope_type: { kind: text, note: '`"default"` or `"llama3"`; any other (yarn, linear, dynamic, longrope, ...) is refused' },
  type: { kind: text, note: "older name of `rope_type`" },
  rope_theta: { kind: positive, note: "rotary base; refused where it differs from one named elsewhere" },
  factor: { kind: positive, note: "of llama3" },
  low_freq_factor: { kind: positive, note: "of llama3" },
  high_freq_factor: { kind: positive, note: "of llama3, above `low_freq_factor`" },
  original_max_position_embeddings: { kind: positive, note: "of llama3, in tokens" },
  partial_rotary_factor: { kind: one, note: "rotary position on a part of each head is refused" },
} as const;
