/**
 * Matrix products in an ONNX graph, as onnxruntime's own operators have them: f32 (MatMul), int8 (MatMulInteger) or int4
 * (MatMulNBits) weights, random ones.
 */
import { randomBytes, randomFloats } from "./engine.ts";
import { node, tensor, type Graph } from "./onnx-file.ts";

export type OrtFormat = "f32" | "int8" | "int4";

/** Block of MatMulNBits, in columns. */
const NBITS_BLOCK = 32;

/** Adds y = x W^T to a graph and returns y's name. int8 inputs are quantised once and shared. */
export class MatrixWriter {
  readonly #graph: Graph;
  readonly #format: OrtFormat;
  readonly #quantised = new Set<string>();
  #seed = 11;

  constructor(graph: Graph, format: OrtFormat) {
    this.#graph = graph;
    this.#format = format;
  }

  add(x: string, name: string, columns: number, rows: number, gain = 1): string {
    const { nodes, initialisers } = this.#graph;
    const [w, y, seed] = [`${name}.w`, `${name}.y`, this.#seed++];
    const deviation = gain / Math.sqrt(columns);
    switch (this.#format) {
      case "f32":
        initialisers.push(tensor(w, [columns, rows], "f32", randomFloats(rows * columns, seed, deviation * 1.73)));
        nodes.push(node("MatMul", [x, w], [y]));
        break;
      case "int8":
        if (!this.#quantised.has(x)) nodes.push(node("DynamicQuantizeLinear", [x], [`${x}.q`, `${x}.s`, `${x}.z`]));
        this.#quantised.add(x);
        initialisers.push(
          tensor(w, [columns, rows], "i8", randomBytes(rows * columns, seed)),
          tensor(`${w}.z`, [], "i8", new Int8Array(1)),
          tensor(`${w}.s`, [], "f32", Float32Array.of(deviation / 73.9)),
        );
        nodes.push(
          node("MatMulInteger", [`${x}.q`, w, `${x}.z`, `${w}.z`], [`${y}.i`]),
          node("Cast", [`${y}.i`], [`${y}.f`], { to: 1 }),
          node("Mul", [`${x}.s`, `${w}.s`], [`${y}.s`]),
          node("Mul", [`${y}.f`, `${y}.s`], [y]),
        );
        break;
      case "int4": {
        const blocks = columns / NBITS_BLOCK;
        initialisers.push(
          tensor(w, [rows, blocks, NBITS_BLOCK / 2], "u8", randomBytes((rows * columns) / 2, seed)),
          tensor(`${w}.s`, [rows * blocks], "f32", new Float32Array(rows * blocks).fill(deviation / 4.61)),
        );
        const attributes = { K: columns, N: rows, bits: 4, block_size: NBITS_BLOCK, accuracy_level: 4 }; // 4: int8 activations
        nodes.push(node("MatMulNBits", [x, w, `${w}.s`], [y], attributes, "com.microsoft"));
      }
    }
    return y;
  }
}
