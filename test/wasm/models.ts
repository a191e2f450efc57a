/**
 * Random models of any shape and format, streamed into a backend's sink: what tests of the Wasm core run on.
 */
import { weightSpecs, type WeightSink } from "../../engine/model/checkpoint.ts";
import { parseConfig, type ModelConfig } from "../../engine/model/config.ts";
import { layoutOf } from "../../engine/model/families/index.ts";
import { quantise } from "../../engine/model/quantise.ts";
import type { QuantFormat } from "../../engine/model/quantised.ts";
import { uniform } from "../../engine/random.ts";

/** A small config whose matrices can be cut into groups of 32. */
export const SMALL: ModelConfig = parseConfig({
  model_type: "huginn_raven",
  n_embd: 64,
  num_attention_heads: 4,
  intermediate_size: 160,
  n_layers_in_prelude: 1,
  n_layers_in_recurrent_block: 2,
  n_layers_in_coda: 2,
  vocab_size: 61,
  block_size: 96,
  qk_bias: true,
});

const RETROFITTED: ModelConfig = { ...SMALL, kvHeads: 2, qkBias: false, embedScale: 1, tiedHead: false, ...layoutOf("retrofitted-llama") };
const OLMO: ModelConfig = { ...RETROFITTED, ...layoutOf("retrofitted-olmo") };
const embedded = { ...OLMO.recurrence, start: "embedded" } as const;

/** A small model of each family, and of each way in which its state begins. */
export const SIBLINGS: readonly [name: string, config: ModelConfig][] = [
  ["a retrofitted Llama's", RETROFITTED],
  ["a retrofitted OLMo-2's", OLMO],
  ["a retrofitted OLMo-2's, whose state begins as e", { ...OLMO, recurrence: embedded }],
  ["a retrofitted OLMo-2's, whose first iteration goes without the adapter", { ...OLMO, recurrence: { ...embedded, skipsAdapter: true } }],
  ["Ouro's, with heads wider than the width", { ...RETROFITTED, preludeLayers: 0, codaLayers: 0, headDim: 24, ...layoutOf("ouro") }],
];

export function randomFloats(length: number, seed: number, scale = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, (_, i) => (uniform(seed, 0, i) - 0.5) * 2 * scale);
}

/** Random weights, norms near 1; matrices f32 or quantised. Chunks are cut at odd places, as a network would. */
export function randomWeights(config: ModelConfig, format: "f32" | QuantFormat = "f32", group = 32) {
  return async (sink: WeightSink): Promise<void> => {
    weightSpecs(config).forEach((spec, n) => {
      const length = spec.shape.reduce((a, b) => a * b, 1);
      const isNorm = spec.name.includes("norm") || spec.name.includes("ln_f");
      const [rows = 1, columns = 1] = spec.shape;
      const values = randomFloats(length, n + 1, isNorm ? 0.3 : 1.5 / Math.sqrt(columns)).map((v) => v + (isNorm ? 1 : 0));
      const isQuantised = spec.kind === "matrix" && format !== "f32";
      const layout = isQuantised ? { format, rows, columns, group } : { format: "f32" as const, rows, columns };
      const writer = spec.kind === "vector" ? sink.vector(spec.name, length) : sink.matrix(spec.name, layout);
      const bytes = layout.format === "f32" ? new Uint8Array(values.buffer) : quantise(values, layout);
      for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7 + 3) % 1021) writer.write(bytes.subarray(at, at + size));
      writer.done();
    });
  };
}
