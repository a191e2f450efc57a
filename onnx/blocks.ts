/**
 * The family's block in standard ONNX operators (paper section 3.2): norms, rotary positions, attention over what the
 * caller gathered and the rows themselves, gated MLP. The layout is data, as in engine/model/config.ts.
 */
import { blockPrefix } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { NormPlace } from "../engine/model/families/index.ts";
import type { Stage } from "../engine/model/stage.ts";
import { rotaryTable } from "../engine/model/rotary.ts";
import type { GraphBuilder } from "./builder.ts";
import { DATA_TYPES } from "./encode.ts";
import { cacheNames } from "./signature.ts";
import type { OnnxMatrix, OnnxWeights } from "./weights.ts";

/** Where in a model a graph's pieces take their weights. */
export interface BlockContext {
  readonly g: GraphBuilder;
  readonly config: ModelConfig;
  readonly weights: OnnxWeights;
}

/** x W^T (+ bias [rows of W]) for x [rows, columns of W]. */
export function linear({ g, weights }: BlockContext, x: string, name: string, bias?: Float32Array): string {
  const matrix = weights.matrices.get(name)!;
  const addend = bias === undefined ? [] : [g.weight(`${name}.bias`, { type: "float32", shape: [bias.length], data: bias })];
  if (matrix.format === "int8") {
    const y = linearInt8(g, x, name, matrix);
    return addend.length === 0 ? y : g.add("Add", [y, ...addend]);
  }
  const w = g.weight(name, { type: "float32", shape: [matrix.rows, matrix.columns], data: matrix.values });
  return g.add("Gemm", [x, w, ...addend], { transB: 1 });
}

/** Keeps 0 / 0 out of rows that are all zero. */
const SMALLEST_MAGNITUDE = 1e-20;
/** uint8 around 128: the integer kernels of onnxruntime-web are ten times slower where both sides are signed. */
const ZERO_POINT = 128;

/**
 * Each row of x with a scale of its own, so that a row's result does not depend on its company (DynamicQuantizeLinear
 * would share one scale between all rows).
 */
function linearInt8(g: GraphBuilder, x: string, name: string, matrix: OnnxMatrix & { format: "int8" }): string {
  const { rows, columns } = matrix;
  const zero = g.weight("zero_point", { type: "uint8", shape: [], data: Uint8Array.of(ZERO_POINT) });
  const largest = g.add("ReduceMax", [g.add("Abs", [x])], { axes: [-1], keepdims: 1 });
  const scale = g.add("Mul", [g.add("Max", [largest, g.scalar(SMALLEST_MAGNITUDE)]), g.scalar(1 / 127)]); // [rows, 1]
  const scales = g.reshape(scale, [-1]);
  const zeros = g.add("Expand", [zero, g.add("Shape", [scales])]);
  const integers = g.add("QuantizeLinear", [x, scales, zeros], { axis: 0 });
  const w = g.weight(name, { type: "int8", shape: [columns, rows], data: transposed(matrix.integers, rows, columns) });
  const products = g.add("Cast", [g.add("MatMulInteger", [integers, w, zero])], { to: DATA_TYPES.float32 });
  const byOutput = g.weight(`${name}.scale`, { type: "float32", shape: [rows], data: matrix.scales });
  // one scale after the other: onnxruntime fuses their product into MatMulIntegerToFloat as if none were by row, and the
  // bias is lost (seen in 1.30; microsoft/onnxruntime pull requests 6008 and 6169)
  return g.add("Mul", [g.add("Mul", [products, scale]), byOutput]);
}

function transposed(values: Int8Array, rows: number, columns: number): Int8Array {
  const out = new Int8Array(values.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = values[r * columns + c]!;
  return out;
}

/** x * rsqrt(mean(x^2) + eps) * weight, in the form that runtimes fuse. */
export function rmsNorm({ g, config, weights }: BlockContext, x: string, name: string, result?: string): string {
  const data = weights.vectors.get(name)!;
  const weight = g.weight(name, { type: "float32", shape: [data.length], data });
  const squares = g.add("ReduceMean", [g.add("Pow", [x, g.scalar(2)])], { axes: [-1], keepdims: 1 });
  const length = g.add("Sqrt", [g.add("Add", [squares, g.scalar(config.normEps)])]);
  return g.add("Mul", [g.add("Div", [x, length]), weight], {}, result);
}

/** One block over x [rows, width]. Reads the layer's cache inputs, writes its key and value outputs. */
export function block(c: BlockContext, stage: Stage, layer: number, x: string): string {
  const { g, config } = c;
  const { norms } = config.block;
  const prefix = blockPrefix(stage, layer);
  const norm = (half: number, place: NormPlace, input: string): string =>
    norms.includes(place) ? rmsNorm(c, input, `${prefix}.norm_${half * norms.length + norms.indexOf(place) + 1}.weight`) : input;
  const join = (half: number, residual: string, made: string): string =>
    norm(half, "sum", g.add("Add", [residual, norm(half, "output", made)]));
  const mid = join(0, x, linear(c, attention(c, prefix, layer, norm(0, "input", x), stage === "core"), `${prefix}.attn.proj.weight`));
  return join(1, mid, mlp(c, prefix, norm(1, "input", mid)));
}

/** silu(gate) * up, both from one matrix. */
function mlp(c: BlockContext, prefix: string, x: string): string {
  const { g, config } = c;
  const [gate, up] = g.split(linear(c, x, `${prefix}.mlp.fc.weight`), 1, [config.mlpWidth, config.mlpWidth]);
  const silu = g.add("Mul", [gate!, g.add("Sigmoid", [gate!])]);
  return linear(c, g.add("Mul", [silu, up!]), `${prefix}.mlp.proj.weight`);
}

/** Attention of the rows over [past, rows], n entries in all; query head h reads kv head floor(h * kvHeads / heads). */
function attention(c: BlockContext, prefix: string, layer: number, x: string, report: boolean): string {
  const { g, config } = c;
  const { heads, kvHeads, headDim } = config;
  const names = cacheNames(layer);
  const group = heads / kvHeads;

  const qkv = linear(c, x, `${prefix}.attn.Wqkv.weight`, qkvBias(c, prefix));
  const [split] = g.split(qkv, 1, [(heads + kvHeads) * headDim, kvHeads * headDim], [`${prefix}.qk`, names.value]);
  const qk = config.block.qkNorm ? qkNormed(c, prefix, split!) : split!;
  const [query, key] = g.split(rotate(c, g.reshape(qk, [0, heads + kvHeads, headDim])), 1, [heads, kvHeads]);
  g.reshape(key!, [0, kvHeads * headDim], names.key);

  const scaled = g.add("Mul", [query!, g.scalar(1 / Math.sqrt(headDim))]);
  const q = g.add("Transpose", [g.reshape(scaled, [0, kvHeads, group, headDim])], { perm: [1, 2, 0, 3] }); // [kvHeads, group, rows, headDim]
  const all = (past: string, own: string): string => g.reshape(g.add("Concat", [past, own], { axis: 0 }), [0, kvHeads, 1, headDim]);
  const keys = g.add("Transpose", [all(names.pastKey, names.key)], { perm: [1, 2, 3, 0] }); // [kvHeads, 1, headDim, n]
  const values = g.add("Transpose", [all(names.pastValue, names.value)], { perm: [1, 2, 0, 3] }); // [kvHeads, 1, n, headDim]
  const scores = g.add("Add", [g.add("MatMul", [q, keys]), names.mask]); // [kvHeads, group, rows, n]
  const shares = g.add("Softmax", [scores], { axis: -1 });
  if (report) g.add("ReduceMax", [shares], { axes: [0, 1], keepdims: 0 }, names.attention);
  const mixed = g.add("Transpose", [g.add("MatMul", [shares, values])], { perm: [2, 0, 1, 3] });
  return g.reshape(mixed, [0, heads * headDim]);
}

/** All queries normalised together, then all keys. */
function qkNormed(c: BlockContext, prefix: string, qk: string): string {
  const { heads, kvHeads, headDim } = c.config;
  const [query, key] = c.g.split(qk, 1, [heads * headDim, kvHeads * headDim]);
  const normed = [rmsNorm(c, query!, `${prefix}.attn.q_norm.weight`), rmsNorm(c, key!, `${prefix}.attn.k_norm.weight`)];
  return c.g.add("Concat", normed, { axis: 1 });
}

/** The learned bias of q and k as one of Wqkv's outputs: nothing for v. */
function qkvBias({ config, weights }: BlockContext, prefix: string): Float32Array | undefined {
  const bias = weights.vectors.get(`${prefix}.attn.qk_bias`);
  if (bias === undefined) return undefined;
  const { heads, kvHeads, headDim } = config;
  const out = new Float32Array((heads + 2 * kvHeads) * headDim);
  out.set(bias.subarray(0, (heads + kvHeads) * headDim)); // q, then k
  return out;
}

/** Table names, and the input of positions. */
const [COS, SIN, PARTNER] = ["rotary_cos", "rotary_sin", "rotary_partner"] as const;

/** x cos + partner(x) sin for x [rows, heads, headDim], each row at its position; a pair's first partner counts negative. */
function rotate({ g }: BlockContext, x: string): string {
  const partner = g.add("Gather", [x, PARTNER], { axis: 2 });
  return g.add("Add", [g.add("Mul", [x, `${COS}_rows`]), g.add("Mul", [partner, `${SIN}_rows`])]);
}

/** What `rotate` needs, once a graph: cos and sin [contextLength, 1, headDim] and those of the rows. */
export function rotaryConstants({ g, config }: BlockContext): void {
  const { contextLength, headDim } = config;
  const half = headDim / 2;
  const table = rotaryTable(config);
  const cos = new Float32Array(contextLength * headDim);
  const sin = new Float32Array(contextLength * headDim);
  const partner = new Int32Array(headDim);
  for (let j = 0; j < half; j++) {
    const [a, b] = config.block.rotary === "interleaved" ? [2 * j, 2 * j + 1] : [j, j + half];
    [partner[a], partner[b]] = [b, a];
    for (let p = 0; p < contextLength; p++) {
      const at = p * headDim;
      cos[at + a] = cos[at + b] = table.cos[p * half + j]!;
      sin[at + b] = table.sin[p * half + j]!;
      sin[at + a] = -sin[at + b]!;
    }
  }
  const shape = [contextLength, 1, headDim];
  g.weight(COS, { type: "float32", shape, data: cos });
  g.weight(SIN, { type: "float32", shape, data: sin });
  g.weight(PARTNER, { type: "int32", shape: [headDim], data: partner });
  for (const name of [COS, SIN]) g.add("Gather", [name, "positions"], { axis: 0 }, `${name}_rows`);
}
