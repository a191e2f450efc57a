/**
 * Weights on their way into graphs: a checkpoint streamed into f32 or int8 matrices. Quantised tiles are widened to the
 * values they stand for first; int8 here is ONNX's way, one scale an output.
 */
import { collectBytes } from "../engine/model/collect.ts";
import { GATE, type MatrixLayout, type WeightSink } from "../engine/model/checkpoint.ts";
import type { ExitGate } from "../engine/port/backend.ts";
import { dequantise, quantisedBytes } from "../engine/model/quantised.ts";

export const ONNX_FORMATS = ["f32", "int8"] as const;
export type OnnxFormat = (typeof ONNX_FORMATS)[number];

/** y = x W^T, W [rows, columns] */
export type OnnxMatrix =
  | { readonly format: "f32"; readonly rows: number; readonly columns: number; readonly values: Float32Array }
  | {
      readonly format: "int8";
      readonly rows: number;
      readonly columns: number;
      /** [rows, columns], symmetric: -127 .. 127 */
      readonly integers: Int8Array;
      /** [rows]: W = scale * integer */
      readonly scales: Float32Array;
    };

export interface OnnxWeights {
  readonly format: OnnxFormat;
  /** Matrices by their published names. */
  readonly matrices: ReadonlyMap<string, OnnxMatrix>;
  readonly vectors: ReadonlyMap<string, Float32Array>;
}

/** Streams a checkpoint through `load`. @throws {FathomError} whatever `load` finds wrong with it */
export async function collectWeights(format: OnnxFormat, load: (sink: WeightSink) => Promise<void>): Promise<OnnxWeights> {
  const matrices = new Map<string, OnnxMatrix>();
  const vectors = new Map<string, Float32Array>();
  await load({
    matrix: (name, layout) =>
      collectBytes(matrixBytes(layout), (bytes) => {
        const { rows, columns } = layout;
        const values = layout.format === "f32" ? new Float32Array(bytes.buffer) : dequantise(bytes, layout);
        matrices.set(name, format === "f32" ? { format, rows, columns, values } : quantiseRows(values, rows, columns));
      }),
    vector: (name, length) => collectBytes(length * 4, (bytes) => void vectors.set(name, new Float32Array(bytes.buffer))),
  });
  return { format, matrices, vectors };
}

/** The exit gate, of models that have one. */
export function gateOf(vectors: OnnxWeights["vectors"]): ExitGate | undefined {
  const [weight, bias] = [vectors.get(GATE.weight), vectors.get(GATE.bias)];
  return weight && bias && { weight, bias: bias[0]! };
}

function matrixBytes(layout: MatrixLayout): number {
  return layout.format === "f32" ? layout.rows * layout.columns * 4 : quantisedBytes(layout);
}

/** One scale a row, its largest magnitude at 127. */
function quantiseRows(values: Float32Array, rows: number, columns: number): OnnxMatrix & { format: "int8" } {
  const integers = new Int8Array(values.length);
  const scales = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    const row = values.subarray(r * columns, (r + 1) * columns);
    let largest = 0;
    for (const v of row) largest = Math.max(largest, Math.abs(v));
    const scale = (scales[r] = largest / 127);
    if (scale > 0) for (let k = 0; k < columns; k++) integers[r * columns + k] = Math.round(row[k]! / scale);
  }
  return { format: "int8", rows, columns, integers, scales };
}
