/**
 * Weights of the reference backend: every tensor as f32 in its published shape. Quantised tensors are widened to the
 * values they stand for, and remember that their activations are int8.
 */
import type { ModelConfig } from "../model/config.ts";
import { ADAPTER, blockPrefix, EMBEDDING, FINAL_NORM, HEAD, type BlockGroup, type WeightSink } from "../model/checkpoint.ts";
import { dequantise, quantisedBytes } from "../model/quantised.ts";
import type { TensorWriter } from "../model/safetensors.ts";
import type { Matrix } from "./ops.ts";

export interface BlockWeights {
  /** norm_1 .. norm_4 (sandwich) or norm_1, norm_2 (pre), [width] each. */
  readonly norms: readonly Float32Array[];
  readonly qkv: Matrix;
  /** Learned bias of q, then k, [2, heads * headDim]; undefined where the model has none. */
  readonly qkBias: Float32Array | undefined;
  readonly attentionOut: Matrix;
  /** Rows: gate, then up. */
  readonly fc: Matrix;
  readonly mlpOut: Matrix;
}

export interface ModelWeights {
  readonly embedding: Matrix;
  readonly adapter: Matrix;
  readonly finalNorm: Float32Array;
  readonly head: Matrix;
  readonly prelude: readonly BlockWeights[];
  readonly core: readonly BlockWeights[];
  readonly coda: readonly BlockWeights[];
}

/** A sink that keeps everything, and the model once all is there. */
export function collectWeights(config: ModelConfig): { sink: WeightSink; finish(): ModelWeights } {
  const matrices = new Map<string, Matrix>();
  const vectors = new Map<string, Float32Array>();
  const sink: WeightSink = {
    matrix(name, layout) {
      const { rows, columns } = layout;
      const quantised = layout.format !== "f32";
      return intoBuffer(quantised ? quantisedBytes(layout) : rows * columns * 4, (bytes) => {
        const weights = quantised ? dequantise(bytes, layout) : new Float32Array(bytes.buffer);
        matrices.set(name, { rows, columns, weights, activationGroup: quantised ? layout.group : undefined });
      });
    },
    vector(name, length) {
      return intoBuffer(length * 4, (bytes) => void vectors.set(name, new Float32Array(bytes.buffer)));
    },
  };
  const block = (group: BlockGroup, index: number): BlockWeights => {
    const prefix = blockPrefix(group, index);
    const norms = config.block.norms === "sandwich" ? [1, 2, 3, 4] : [1, 2];
    return {
      norms: norms.map((n) => vectors.get(`${prefix}.norm_${n}.weight`)!),
      qkv: matrices.get(`${prefix}.attn.Wqkv.weight`)!,
      qkBias: vectors.get(`${prefix}.attn.qk_bias`),
      attentionOut: matrices.get(`${prefix}.attn.proj.weight`)!,
      fc: matrices.get(`${prefix}.mlp.fc.weight`)!,
      mlpOut: matrices.get(`${prefix}.mlp.proj.weight`)!,
    };
  };
  const blocks = (group: BlockGroup, count: number): BlockWeights[] => Array.from({ length: count }, (_, i) => block(group, i));
  return {
    sink,
    finish: () => ({
      embedding: matrices.get(EMBEDDING)!,
      adapter: matrices.get(ADAPTER)!,
      finalNorm: vectors.get(FINAL_NORM)!,
      head: matrices.get(config.tiedHead ? EMBEDDING : HEAD)!,
      prelude: blocks("prelude", config.preludeLayers),
      core: blocks("core_block", config.coreLayers),
      coda: blocks("coda", config.codaLayers),
    }),
  };
}

function intoBuffer(bytes: number, finish: (bytes: Uint8Array<ArrayBuffer>) => void): TensorWriter {
  const buffer = new Uint8Array(bytes);
  let at = 0;
  return {
    write(chunk) {
      buffer.set(chunk, at);
      at += chunk.length;
    },
    done: () => finish(buffer),
  };
}
