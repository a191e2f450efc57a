/**
 * What goes into and comes out of the three graphs: the contract between exporter, backend and graphs that others bring.
 * Rows are token positions of ONE sequence. The cache stays with the caller: for every layer it passes the keys and
 * values that it gathered, and which of them each row may see; it gets the rows' own back and stores them.
 */
import type { OnnxValue } from "./encode.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { layersOf, type Stage } from "../engine/model/stage.ts";

export interface Signature {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

/** Added to the score of what a row must not see: its weight is 0 in f32. 0 where it may look. */
export const HIDDEN = -1e30;

/** Names of one layer's values, counted from 0 within its graph. */
export const cacheNames = (layer: number) =>
  ({
    pastKey: `past_key_${layer}`,
    pastValue: `past_value_${layer}`,
    mask: `mask_${layer}`,
    key: `key_${layer}`,
    value: `value_${layer}`,
    attention: `attention_${layer}`,
  }) as const;

/**
 * prelude: token ids -> e. core: s_t, e (and the iterations behind each row, where the first is another) -> s_{t+1}, and what
 * each row attended to (the largest weight over the heads).
 * coda: s_r -> logits and the head's input of some rows, and ln_f(s_r) (s_r itself where the model has no norm there).
 */
export function signatureOf(config: ModelConfig, graph: Stage): Signature {
  const { width, vocabSize, recurrence } = config;
  const f32 = (name: string, ...shape: (number | string)[]): OnnxValue => ({ name, type: "float32", shape });
  const i32 = (name: string, size: string): OnnxValue => ({ name, type: "int32", shape: [size] });
  const positions = i32("positions", "rows");
  const own: Readonly<Record<Stage, Signature>> = {
    prelude: { inputs: [i32("tokens", "rows"), positions], outputs: [f32("embedded", "rows", width)] },
    core: {
      inputs: [
        f32("state", "rows", width),
        ...(recurrence.injection === "adapter" ? [f32("embedded", "rows", width)] : []),
        ...(recurrence.skipsAdapter ? [i32("iterations", "rows")] : []),
        positions,
      ],
      outputs: [f32("next_state", "rows", width)],
    },
    coda: {
      inputs: [f32("state", "rows", width), positions, i32("heads", "heads")],
      outputs: [f32("logits", "heads", vocabSize), f32("head_input", "heads", width), f32("latent", "rows", width)],
    },
  };
  const inputs = [...own[graph].inputs];
  const outputs = [...own[graph].outputs];
  const entry = config.kvHeads * config.headDim;
  for (let layer = 0; layer < layersOf(config, graph); layer++) {
    const names = cacheNames(layer);
    const [past, seen] = [`past_${layer}`, `seen_${layer}`]; // seen = past + rows
    inputs.push(f32(names.pastKey, past, entry), f32(names.pastValue, past, entry), f32(names.mask, "rows", seen));
    outputs.push(f32(names.key, "rows", entry), f32(names.value, "rows", entry));
    if (graph === "core") outputs.push(f32(names.attention, "rows", seen));
  }
  return { inputs, outputs };
}
