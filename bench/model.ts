/**
 * The model shape that all engines are compared on, with random weights: width 512, MLP 1408, 8 heads, 2 prelude, 4 core
 * and 2 coda layers (8 layers at r = 1, 25.7 M weights in them), vocabulary 8192. Speed does not depend on the values,
 * as long as they are ordinary numbers.
 */
import { EMBEDDING, weightSpecs, type WeightSink } from "../engine/model/checkpoint.ts";
import { parseConfig, type ModelConfig } from "../engine/model/config.ts";
import { blockBytes, quantisedBytes, type QuantLayout } from "../engine/model/quantised.ts";

export const BENCH_CONFIG: ModelConfig = parseConfig({
  model_type: "huginn_raven",
  n_embd: 512,
  num_attention_heads: 8,
  intermediate_size: 1408,
  n_layers_in_prelude: 2,
  n_layers_in_recurrent_block: 4,
  n_layers_in_coda: 2,
  vocab_size: 8192,
  block_size: 1024,
  qk_bias: true,
});

/** Room for the largest format with an f32 cache of 32 iterations: speed is measured here, not thrift. */
export const BENCH_LIMIT_BYTES = 1024 * 1048576;

export const PROMPT_TOKENS = 64;
export const NEW_TOKENS = 64;

/** "q4": every matrix; "q4 q8-head": the embedding, and so the tied head, in q8, as `fathom convert` makes it. */
export const BENCH_FORMATS = ["f32", "q8", "q4", "q4 q8-head"] as const;
export type BenchFormat = (typeof BENCH_FORMATS)[number];

/** A fixed pseudo-random prompt. */
export function benchPrompt(length = PROMPT_TOKENS): number[] {
  return Array.from({ length }, (_, i) => 300 + ((i * 7919) % 7000));
}

/** Random weights of a format. */
export function benchWeights(config: ModelConfig, format: BenchFormat, group = 64) {
  return async (sink: WeightSink): Promise<void> => {
    weightSpecs(config).forEach((spec, seed) => {
      const length = spec.shape.reduce((a, b) => a * b, 1);
      const [rows = 1, columns = 1] = spec.shape;
      if (spec.kind === "vector" || format === "f32") {
        const isNorm = spec.name.includes("norm") || spec.name.includes("ln_f");
        const values = isNorm ? new Float32Array(length).fill(1) : randomFloats(length, seed + 1, 1.7 / Math.sqrt(columns));
        const writer = spec.kind === "vector" ? sink.vector(spec.name, length) : sink.matrix(spec.name, { format: "f32", rows, columns });
        writer.write(new Uint8Array(values.buffer));
        return writer.done();
      }
      const isQ8 = format === "q8" || (format === "q4 q8-head" && spec.name === EMBEDDING);
      const layout: QuantLayout = { format: isQ8 ? "q8" : "q4", rows, columns, group };
      const writer = sink.matrix(spec.name, layout);
      writer.write(randomTiles(layout, seed + 1));
      writer.done();
    });
  };
}

/** Packed tiles of random integers with one plausible scale. */
export function randomTiles(layout: QuantLayout, seed: number): Uint8Array {
  const { format, group, columns } = layout;
  const bytes = new Uint8Array(quantisedBytes(layout));
  const words = new Uint32Array(bytes.buffer);
  fillRandom(words, seed);
  const scale = 1 / (Math.sqrt(columns) * (format === "q4" ? 4.6 : 74));
  const blockWords = blockBytes(format, group) / 4;
  const floats = new Float32Array(bytes.buffer);
  for (let end = blockWords; end <= words.length; end += blockWords) floats.fill(scale, end - 16, end);
  return bytes;
}

/** Uniform in [-scale, scale). */
export function randomFloats(length: number, seed: number, scale: number): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(length);
  fillRandom(words, seed);
  return Float32Array.from(words, (w) => (w / 2147483648 - 1) * scale);
}

/** xorshift32 */
function fillRandom(words: Uint32Array, seed: number): void {
  let x = Math.imul(seed, 2654435761) | 1;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
}
