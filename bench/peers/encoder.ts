/**
 * onnxruntime-web, Wasm, one thread: an encoder of the size of the model in bench/decide-model.ts at r = 1 (5 layers, width
 * 256, MLP 768, 8 heads, vocabulary 12,288), with random weights. It reads input, question and all options at once, every
 * token seeing every other, and has a score a token, of which the options' markers would be read.
 */
import * as ort from "onnxruntime-web/wasm";
import { DECIDER_CONFIG } from "../decide-model.ts";
import { randomFloats } from "./engine.ts";
import { MatrixWriter, type OrtFormat } from "./matrix-writer.ts";
import { node, onnxFile, tensor, value, type Graph } from "./onnx-file.ts";

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

const EPS = { float: 1e-5 };
const { width, vocabSize, heads, mlpWidth, preludeLayers, coreLayers, codaLayers } = DECIDER_CONFIG;

function encoder(format: OrtFormat): Graph {
  const nodes = [
    node("Gather", ["embedding", "ids"], ["h0"], { axis: 0 }),
    node("SimplifiedLayerNormalization", ["h0", "one"], ["n0"], { axis: -1, epsilon: EPS }),
  ];
  const initialisers = [
    tensor("one", [width], "f32", new Float32Array(width).fill(1)),
    tensor("embedding", [vocabSize, width], "f32", randomFloats(vocabSize * width, 5, 0.07)),
    tensor("score", [width, 1], "f32", randomFloats(width, 6, 0.07)),
  ];
  const graph: Graph = { nodes, initialisers, inputs: [value("ids", "i64", [1, "s"])], outputs: [value("scores", "f32", [1, "s", 1])] };
  const matrices = new MatrixWriter(graph, format);
  let [h, x] = ["h0", "n0"];
  const addAndNorm = (y: string, name: string): void => {
    nodes.push(node("SkipSimplifiedLayerNormalization", [y, h, "one"], [`${name}.n`, "", "", `${name}.h`], { epsilon: EPS }, "com.microsoft"));
    [h, x] = [`${name}.h`, `${name}.n`];
  };
  for (let i = 0; i < preludeLayers + coreLayers + codaLayers; i++) {
    const layer = `layer${i}`;
    const [q, k, v] = ["q", "k", "v"].map((part) => matrices.add(x, `${layer}.${part}`, width, width)) as [string, string, string];
    nodes.push(node("MultiHeadAttention", [q, k, v], [`${layer}.a`], { num_heads: heads }, "com.microsoft"));
    addAndNorm(matrices.add(`${layer}.a`, `${layer}.o`, width, width, 0.3), `${layer}.mid`);
    const [gate, up] = [matrices.add(x, `${layer}.gate`, width, mlpWidth), matrices.add(x, `${layer}.up`, width, mlpWidth)];
    nodes.push(
      node("Sigmoid", [gate], [`${layer}.sigmoid`]),
      node("Mul", [gate, `${layer}.sigmoid`], [`${layer}.silu`]),
      node("Mul", [`${layer}.silu`, up], [`${layer}.gated`]),
    );
    addAndNorm(matrices.add(`${layer}.gated`, `${layer}.down`, mlpWidth, width, 0.3), `${layer}.end`);
  }
  nodes.push(node("MatMul", [x, "score"], ["scores"]));
  return graph;
}

export const ENCODER_ENGINE = `onnxruntime-web ${ort.env.versions.web}`;

/** @returns a function that reads so many tokens at once */
export async function loadEncoder(format: OrtFormat): Promise<(tokens: number) => Promise<void>> {
  const file = onnxFile(encoder(format));
  const session = await ort.InferenceSession.create(file, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
  return async (tokens) => {
    const ids = BigInt64Array.from({ length: tokens }, (_, i) => BigInt((i * 7919) % vocabSize));
    const { scores } = await session.run({ ids: new ort.Tensor("int64", ids, [1, tokens]) });
    if (scores!.size !== tokens) throw new Error(`The encoder has ${scores!.size} scores of ${tokens} tokens.`);
  };
}
