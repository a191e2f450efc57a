/**
 * Weights of the reference backend: every tensor as f32 in its published shape. Quantised tensors are widened to the
 * values they stand for, and remember that their activations are int8.
 */
import { collectBytes } from "../model/collect.ts";
import type { ModelConfig } from "../model/config.ts";
import type { WeightSink } from "../model/checkpoint.ts";
import { dequantise, quantisedBytes } from "../model/quantised.ts";
import { assembleModel, type BlockParts, type ModelParts } from "../port/assemble.ts";
import type { Matrix } from "./ops.ts";

export type BlockWeights = BlockParts<Matrix, Float32Array>;
export type ModelWeights = ModelParts<Matrix, Float32Array>;

/** A sink that keeps everything, and the model once all is there. */
export function collectWeights(config: ModelConfig): { sink: WeightSink; finish(): ModelWeights } {
  const matrices = new Map<string, Matrix>();
  const vectors = new Map<string, Float32Array>();
  const sink: WeightSink = {
    matrix(name, layout) {
      const { rows, columns } = layout;
      const quantised = layout.format !== "f32";
      return collectBytes(quantised ? quantisedBytes(layout) : rows * columns * 4, (bytes) => {
        const weights = quantised ? dequantise(bytes, layout) : new Float32Array(bytes.buffer);
        matrices.set(name, { rows, columns, weights, activationGroup: quantised ? layout.group : undefined });
      });
    },
    vector: (name, length) => collectBytes(length * 4, (bytes) => void vectors.set(name, new Float32Array(bytes.buffer))),
  };
  return { sink, finish: () => assembleModel(config, matrices, vectors) };
}
