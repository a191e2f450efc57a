/**
 * Puts a model's parts together from tensors by their published names. What a tensor is (an array, an address, a buffer) is
 * the backend's own affair; which of them make a block is the same for all.
 */
import { FathomError } from "../errors.ts";
import { ADAPTER, blockPrefix, EMBEDDING, FINAL_NORM, HEAD } from "../model/checkpoint.ts";
import type { ModelConfig } from "../model/config.ts";
import { layersOf, type Stage } from "../model/stage.ts";

/** One transformer block. */
export interface BlockParts<Matrix, Vector> {
  /** norm_1 .. norm_4 (sandwich) or norm_1, norm_2 (pre), [width] each. */
  readonly norms: readonly Vector[];
  /** [(heads + 2 * kvHeads) * headDim, width] */
  readonly qkv: Matrix;
  /** Learned bias of q, then k, [2, heads * headDim]; undefined where the model has none. */
  readonly qkBias: Vector | undefined;
  /** [width, heads * headDim] */
  readonly attentionOut: Matrix;
  /** [2 * mlpWidth, width]; rows: gate, then up. */
  readonly fc: Matrix;
  /** [width, mlpWidth] */
  readonly mlpOut: Matrix;
}

/** A whole model. */
export interface ModelParts<Matrix, Vector> {
  /** [vocabSize, width] */
  readonly embedding: Matrix;
  /** [width, 2 * width]; columns: state, then e. */
  readonly adapter: Matrix;
  /** ln_f, [width] */
  readonly finalNorm: Vector;
  /** [vocabSize, width]; the embedding itself where the config ties them. */
  readonly head: Matrix;
  readonly prelude: readonly BlockParts<Matrix, Vector>[];
  readonly core: readonly BlockParts<Matrix, Vector>[];
  readonly coda: readonly BlockParts<Matrix, Vector>[];
}

/**
 * Puts a model together, once all of its tensors have been streamed.
 * @param matrices by published name, as `WeightSink.matrix` got them
 * @param vectors  by published name, as `WeightSink.vector` got them
 * @throws {FathomError} invalid_checkpoint naming a tensor that never came
 */
export function assembleModel<Matrix, Vector>(
  config: ModelConfig,
  matrices: ReadonlyMap<string, Matrix>,
  vectors: ReadonlyMap<string, Vector>,
): ModelParts<Matrix, Vector> {
  const matrix = (name: string): Matrix => required(matrices, name);
  const blocks = (stage: Stage): BlockParts<Matrix, Vector>[] =>
    Array.from({ length: layersOf(config, stage) }, (_, layer) => {
      const prefix = blockPrefix(stage, layer);
      const norms = config.block.norms === "sandwich" ? [1, 2, 3, 4] : [1, 2];
      return {
        norms: norms.map((n) => required(vectors, `${prefix}.norm_${n}.weight`)),
        qkv: matrix(`${prefix}.attn.Wqkv.weight`),
        qkBias: config.qkBias ? required(vectors, `${prefix}.attn.qk_bias`) : undefined,
        attentionOut: matrix(`${prefix}.attn.proj.weight`),
        fc: matrix(`${prefix}.mlp.fc.weight`),
        mlpOut: matrix(`${prefix}.mlp.proj.weight`),
      };
    });
  return {
    embedding: matrix(EMBEDDING),
    adapter: matrix(ADAPTER),
    finalNorm: required(vectors, FINAL_NORM),
    head: matrix(config.tiedHead ? EMBEDDING : HEAD),
    prelude: blocks("prelude"),
    core: blocks("core"),
    coda: blocks("coda"),
  };
}

function required<T>(tensors: ReadonlyMap<string, T>, name: string): T {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new FathomError("invalid_checkpoint", `Tensor ${name} was never loaded; the config asks for it.`, name);
  return tensor;
}
