/**
 * ONNX files: a model as plain objects -> the bytes of a ModelProto, by ONNX's own schema. Only what an exporter writes;
 * reading is the runtime's business.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { fileDesc } from "@bufbuild/protobuf/codegenv2";
import { FathomError } from "../engine/errors.ts";
import { ONNX_DESCRIPTOR } from "./proto/descriptor.ts";

/** onnx.TensorProto.DataType */
export const DATA_TYPES = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7 } as const;
export type DataType = keyof typeof DATA_TYPES;

/** A tensor of the file. */
export interface OnnxTensor {
  readonly type: DataType;
  readonly shape: readonly number[];
  /** Row-major, little-endian. */
  readonly data: ArrayBufferView;
}

/** An input or output; a size that only a call knows has a name. */
export interface OnnxValue {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly (number | string)[];
}

/** A whole number, a list of them, or a one-element tensor. */
export type Attribute = number | readonly number[] | OnnxTensor;

export interface OnnxNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export interface OnnxGraph {
  readonly name: string;
  readonly description: string;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  readonly nodes: readonly OnnxNode[];
}

/** The oldest operator set that has everything the graphs use, for the widest choice of runtimes; of 2022. */
export const OPSET = 17;
const IR_VERSION = 8n;

/** What protocol buffers can hold in one file. */
const LARGEST_FILE = 2 ** 31 - 1;
/** Room for everything but the constants. */
const OVERHEAD = 2 ** 22;

const MODEL = fileDesc(btoa(ONNX_DESCRIPTOR)).messages.find((message) => message.typeName === "onnx.ModelProto")!;
/** onnx.AttributeProto.AttributeType */
const ATTRIBUTE_TYPES = { INT: 2, TENSOR: 4, INTS: 7 } as const;

/** @throws {FathomError} invalid_request where the graph does not fit one file */
export function encodeOnnx(graph: OnnxGraph, metadata: Readonly<Record<string, string>> = {}): Uint8Array<ArrayBuffer> {
  const bytes = constantBytes(graph);
  if (bytes + OVERHEAD > LARGEST_FILE)
    throw new FathomError(
      "invalid_request",
      `The ${graph.name} graph has ${(bytes / 1e9).toFixed(2)} GB of weights, and an ONNX file holds at most 2 GB; export a smaller type or a smaller model.`,
      "quant",
    );
  const model = {
    irVersion: IR_VERSION,
    producerName: "fathom",
    domain: "",
    opsetImport: [{ domain: "", version: BigInt(OPSET) }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: graph.name,
      docString: graph.description,
      node: graph.nodes.map(nodeProto),
      initializer: [...graph.constants].map(([name, tensor]) => tensorProto(tensor, name)),
      input: graph.inputs.map(valueProto),
      output: graph.outputs.map(valueProto),
    },
  };
  return toBinary(MODEL, create(MODEL, model)) as Uint8Array<ArrayBuffer>;
}

function constantBytes(graph: OnnxGraph): number {
  let bytes = 0;
  for (const { data } of graph.constants.values()) bytes += data.byteLength;
  return bytes;
}

function nodeProto({ operator, inputs, outputs, attributes }: OnnxNode): object {
  return {
    opType: operator,
    name: outputs[0]!,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([name, value]) => ({ name, ...attributeProto(value) })),
  };
}

function attributeProto(value: Attribute): object {
  if (typeof value === "number") return { type: ATTRIBUTE_TYPES.INT, i: BigInt(value) };
  if ("data" in value) return { type: ATTRIBUTE_TYPES.TENSOR, t: tensorProto(value, "") };
  return { type: ATTRIBUTE_TYPES.INTS, ints: value.map(BigInt) };
}

function tensorProto({ type, shape, data }: OnnxTensor, name: string): object {
  return {
    name,
    dataType: DATA_TYPES[type],
    dims: shape.map(BigInt),
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}

function valueProto({ name, type, shape }: OnnxValue): object {
  const dim = shape.map((size) => ({
    value: typeof size === "number" ? { case: "dimValue", value: BigInt(size) } : { case: "dimParam", value: size },
  }));
  return { name, type: { value: { case: "tensorType", value: { elemType: DATA_TYPES[type], shape: { dim } } } } };
}
