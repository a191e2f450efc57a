/**
 * onnxruntime-web, Wasm, one thread: a llama-shaped decoder of its own fused operators (GroupQueryAttention with rotary,
 * SkipSimplifiedLayerNormalization), with f32, int8 (MatMulInteger) or int4 (MatMulNBits) matrices.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as ort from "onnxruntime-web/wasm";
import { tokensPerSecond, type DecodeRun } from "../decode-run.ts";
import { benchPrompt, NEW_TOKENS } from "../model.ts";
import { CONTEXT, HEAD_DIM, HEADS, LAYERS, MLP_WIDTH, randomFloats, VOCAB_SIZE, WIDTH, type Peer, type PreparedPeer } from "./engine.ts";
import { MatrixWriter, type OrtFormat } from "./matrix-writer.ts";
import { node, onnxFile, tensor, value, type Graph } from "./onnx-file.ts";

export const ORT_FORMATS: readonly OrtFormat[] = ["f32", "int8", "int4"];

const dist = new URL("node_modules/onnxruntime-web/dist/", import.meta.url);
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = { mjs: new URL("ort-wasm-simd-threaded.mjs", dist).href, wasm: new URL("ort-wasm-simd-threaded.wasm", dist).href };
ort.env.wasm.wasmBinary = readFileSync(fileURLToPath(new URL("ort-wasm-simd-threaded.wasm", dist)));
ort.env.logLevel = "error";

const ENGINE = "onnxruntime-web 1.30";
const EPS = { float: 1e-5 };

const createSession = (graph: Graph): Promise<ort.InferenceSession> =>
  ort.InferenceSession.create(onnxFile(graph), { executionProviders: ["wasm"], graphOptimizationLevel: "all" });

function decoder(format: OrtFormat): Graph {
  const graph: Graph = {
    nodes: [node("Gather", ["embedding", "ids"], ["h0"], { axis: 0 }), node("SimplifiedLayerNormalization", ["h0", "one"], ["n0"], { axis: -1, epsilon: EPS })],
    initialisers: [
      tensor("one", [WIDTH], "f32", new Float32Array(WIDTH).fill(1)),
      tensor("embedding", [VOCAB_SIZE, WIDTH], "f32", randomFloats(VOCAB_SIZE * WIDTH, 5, 0.07)),
      tensor("last", [1], "i64", BigInt64Array.of(-1n)),
      ...(["cos", "sin"] as const).map((f) => tensor(f, [CONTEXT, HEAD_DIM / 2], "f32", Float32Array.from({ length: (CONTEXT * HEAD_DIM) / 2 }, (_, i) => Math[f](Math.floor((2 * i) / HEAD_DIM) / 10000 ** (((2 * i) % HEAD_DIM) / HEAD_DIM))))),
    ],
    inputs: [value("ids", "i64", [1, "s"]), value("lengths", "i32", [1]), value("total", "i32", [])],
    outputs: [value("logits", "f32", [1, 1, VOCAB_SIZE])],
  };
  const { nodes, inputs, outputs } = graph;
  const matrices = new MatrixWriter(graph, format);
  let [h, x] = ["h0", "n0"];
  const addAndNorm = (y: string, name: string): void => {
    nodes.push(node("SkipSimplifiedLayerNormalization", [y, h, "one"], [`${name}.n`, "", "", `${name}.h`], { epsilon: EPS }, "com.microsoft"));
    [h, x] = [`${name}.h`, `${name}.n`];
  };
  for (let i = 0; i < LAYERS; i++) {
    const layer = `layer${i}`;
    const [q, k, v] = ["q", "k", "v"].map((part) => matrices.add(x, `${layer}.${part}`, WIDTH, WIDTH)) as [string, string, string];
    for (const part of ["k", "v"]) {
      inputs.push(value(`past.${part}${i}`, "f32", [1, HEADS, "p", HEAD_DIM]));
      outputs.push(value(`${part}${i}`, "f32", [1, HEADS, "t", HEAD_DIM]));
    }
    const attention = { num_heads: HEADS, kv_num_heads: HEADS, do_rotary: 1 };
    nodes.push(node("GroupQueryAttention", [q, k, v, `past.k${i}`, `past.v${i}`, "lengths", "total", "cos", "sin"], [`${layer}.a`, `k${i}`, `v${i}`], attention, "com.microsoft"));
    addAndNorm(matrices.add(`${layer}.a`, `${layer}.o`, WIDTH, WIDTH, 0.3), `${layer}.mid`);
    const [gate, up] = [matrices.add(x, `${layer}.gate`, WIDTH, MLP_WIDTH), matrices.add(x, `${layer}.up`, WIDTH, MLP_WIDTH)];
    nodes.push(node("Sigmoid", [gate], [`${layer}.sigmoid`]), node("Mul", [gate, `${layer}.sigmoid`], [`${layer}.silu`]), node("Mul", [`${layer}.silu`, up], [`${layer}.gated`]));
    addAndNorm(matrices.add(`${layer}.gated`, `${layer}.down`, MLP_WIDTH, WIDTH, 0.3), `${layer}.end`);
  }
  nodes.push(node("Gather", [x, "last"], ["x.last"], { axis: 1 }), node("Identity", [matrices.add("x.last", "head", WIDTH, VOCAB_SIZE)], ["logits"]));
  return graph;
}

type Cache = Readonly<Record<string, ort.Tensor>>;

async function step(session: ort.InferenceSession, tokens: readonly number[], past: number, cache: Cache | undefined): Promise<{ token: number; cache: Cache }> {
  const total = past + tokens.length;
  const feeds: Record<string, ort.Tensor> = {
    ids: new ort.Tensor("int64", BigInt64Array.from(tokens, BigInt), [1, tokens.length]),
    lengths: new ort.Tensor("int32", Int32Array.of(total - 1), [1]),
    total: new ort.Tensor("int32", Int32Array.of(total), []),
  };
  for (let i = 0; i < LAYERS; i++)
    for (const part of ["k", "v"]) feeds[`past.${part}${i}`] = cache?.[`${part}${i}`] ?? new ort.Tensor("float32", new Float32Array(0), [1, HEADS, 0, HEAD_DIM]);
  const out = await session.run(feeds);
  const logits = out["logits"]!.data as Float32Array;
  let token = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[token]!) token = i;
  return { token, cache: out };
}

export function onnxruntime(format: OrtFormat): Peer {
  return {
    engine: ENGINE,
    format,
    async prepare(): Promise<PreparedPeer> {
      const session = await createSession(decoder(format));
      return {
        async round(): Promise<DecodeRun> {
          const prompt = benchPrompt();
          const start = performance.now();
          let { token, cache } = await step(session, prompt, 0, undefined);
          const first = performance.now();
          for (let i = 1; i < NEW_TOKENS; i++) ({ token, cache } = await step(session, [token], prompt.length + i - 1, cache));
          return tokensPerSecond(first - start, performance.now() - first);
        },
        close: () => session.release(),
      };
    },
  };
}

/** A bare matrix product: a call multiplies [batch, columns] by W [rows, columns]. */
export async function onnxruntimeMatrix(format: OrtFormat, rows: number, columns: number, batch: number): Promise<{ engine: string; run(): Promise<unknown>; close(): Promise<void> }> {
  const graph: Graph = { nodes: [], initialisers: [], inputs: [value("x", "f32", [batch, columns])], outputs: [value("y", "f32", [batch, rows])] };
  const y = new MatrixWriter(graph, format).add("x", "matrix", columns, rows);
  graph.nodes.push(node("Identity", [y], ["y"]));
  const session = await createSession(graph);
  const x = new ort.Tensor("float32", randomFloats(batch * columns, 99, 1), [batch, columns]);
  return { engine: ENGINE, run: () => session.run({ x }), close: () => session.release() };
}
