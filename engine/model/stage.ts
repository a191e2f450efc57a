/**
 * The three stages that a token passes: prelude once, core once an iteration, coda at a readout. Layers are counted
 * from 0 within their stage. Everything that a model has by stage (tensors, cache slots, graphs) is named by these.
 */
/** The stages of a model in the order in which they run. */
export const STAGES = ["prelude", "core", "coda"] as const;

export type Stage = (typeof STAGES)[number];

/** Blocks of a stage. */
export function layersOf(config: Readonly<Record<`${Stage}Layers`, number>>, stage: Stage): number {
  return config[`${stage}Layers`];
}
