/**
 * Puts a model's parts together from tensors by their published names. What a tensor is (an array, an address, a buffer) is
 * the backend's own affair; which of them make a block is the same for all.
 */
import { FathomError } from "../errors.ts";
import { ADAPTER, blockPrefix, EMBEDDING, FINAL_NORM, GATE, HEAD } from "../model/checkpoint.ts";
import type { ModelConfig } from "../model/config.ts";
import type { NormPlace } from "../model/families/index.ts";
import { layersOf, type Stage } from "../model/stage.ts";

/** Norms of a half of a block, [width] each; where there is none, undefined. */
export type HalfNorms<Vector> = Readonly<Partial<Record<NormPlace, Vector>>>;

/** One transformer block. */
export interface BlockParts<Matrix, Vector> {
  readonly attentionNorms: HalfNorms<Vector>;
  readonly mlpNorms: HalfNorms<Vector>;
  /** [(heads + 2 * kvHeads) * headDim, width] */
  readonly qkv: Matrix;
  /** Learned bias of q, then k, [2, heads * headDim]; undefined where the model has none. */
  readonly qkBias: Vector | undefined;
  /** Norms over all queries, [heads * headDim], and all keys, [kvHeads * headDim]; undefined where the model has none. */
  readonly qkNorm: { readonly query: Vector; readonly key: Vector } | undefined;
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
  /** [width, 2 * width]; columns: state, then e. undefined where iterations begin with the state alone. */
  readonly adapter: Matrix | undefined;
  /** ln_f, [width] */
  readonly finalNorm: Vector;
  /** [vocabSize, width]; the embedding itself where the config ties them. */
  readonly head: Matrix;
  /** The exit gate's weights, [width], and its bias, [1]; undefined where the model has none. */
  readonly gate: { readonly weight: Vector; readonly bias: Vector } | undefined;
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
  const vector = (name: string): Vector => required(vectors, name);
  const { block: layout, recurrence } = config;
  const norms = (prefix: string, half: number): HalfNorms<Vector> =>
    Object.fromEntries(layout.norms.map((place, n) => [place, vector(`${prefix}.norm_${half * layout.norms.length + n + 1}.weight`)]));
  const blocks = (stage: Stage): BlockParts<Matrix, Vector>[] =>
    Array.from({ length: layersOf(config, stage) }, (_, layer) => {
      const prefix = blockPrefix(stage, layer);
      return {
        attentionNorms: norms(prefix, 0),
        mlpNorms: norms(prefix, 1),
        qkv: matrix(`${prefix}.attn.Wqkv.weight`),
        qkBias: config.qkBias ? vector(`${prefix}.attn.qk_bias`) : undefined,
        qkNorm: layout.qkNorm ? { query: vector(`${prefix}.attn.q_norm.weight`), key: vector(`${prefix}.attn.k_norm.weight`) } : undefined,
        attentionOut: matrix(`${prefix}.attn.proj.weight`),
        fc: matrix(`${prefix}.mlp.fc.weight`),
        mlpOut: matrix(`${prefix}.mlp.proj.weight`),
      };
    });
  return {
    embedding: matrix(EMBEDDING),
    adapter: recurrence.injection === "adapter" ? matrix(ADAPTER) : undefined,
    finalNorm: vector(FINAL_NORM),
    head: matrix(config.tiedHead ? EMBEDDING : HEAD),
    gate: recurrence.exitGate ? { weight: vector(GATE.weight), bias: vector(GATE.bias) } : undefined,
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
