/**
 * Where a row's latent state s_0 comes from (paper section 3.1): zeros (the reference's documented deterministic
 * mode), or a truncated normal of a seed, by absolute position.
 */
import type { LatentState } from "../port/backend.ts";
import type { ModelConfig } from "../model/config.ts";
import { truncatedNormals } from "../random.ts";

/** s_0 of the row at a position; undefined = zeros, or what the model's own recurrence begins with. A fresh draw for every call, as in the reference. */
export type InitialState = (position: number) => LatentState | undefined;

/** Starts every position from s_0 = 0. */
export const zeroState: InitialState = () => undefined;

/**
 * Elements ~ TruncNormal(0, stateStd * scale), cut at three standard deviations; scale 0 gives zeros. A model whose state
 * begins as e draws nothing. [scale=1]
 */
export function seededState(config: ModelConfig, seed: number, scale = 1): InitialState {
  if (scale === 0 || config.recurrence.start === "embedded") return zeroState;
  return (position) => truncatedNormals(seed, position, config.width, config.stateStd * scale);
}
