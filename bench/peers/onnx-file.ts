/**
 * Writes ONNX files: just enough protobuf for a graph of nodes, initialisers, inputs and outputs.
 */

type Bytes = Uint8Array<ArrayBufferLike>;

const TEXT = new TextEncoder();
/** Wire types of protobuf. */
const [VARINT, BYTES, FIXED32] = [0, 2, 5];
/** onnx.TensorProto.DataType */
const DATA_TYPES = { f32: 1, u8: 2, i8: 3, i32: 6, i64: 7 } as const;
/** onnx.AttributeProto.AttributeType */
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const;

export type DataType = keyof typeof DATA_TYPES;
export type Attribute = number | string | readonly number[] | { readonly float: number };

function varint(value: number | bigint): Bytes {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    out.push(rest > 0n ? low | 128 : low);
  } while (rest > 0n);
  return Uint8Array.from(out);
}

function concat(parts: readonly Bytes[]): Bytes {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const tag = (field: number, wire: number): Bytes => varint((field << 3) | wire);
const number = (field: number, value: number): Bytes => concat([tag(field, VARINT), varint(value)]);
const message = (field: number, body: Bytes): Bytes => concat([tag(field, BYTES), varint(body.length), body]);
const text = (field: number, value: string): Bytes => message(field, TEXT.encode(value));
const float = (field: number, value: number): Bytes => concat([tag(field, FIXED32), new Uint8Array(new Float32Array([value]).buffer)]);

export function tensor(name: string, shape: readonly number[], type: DataType, data: ArrayBufferView): Bytes {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return concat([...shape.map((n) => number(1, n)), number(2, DATA_TYPES[type]), text(8, name), message(9, raw)]);
}

export function node(op: string, inputs: readonly string[], outputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}, domain = ""): Bytes {
  return concat([
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(3, outputs[0]!),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) => message(5, attribute(name, value))),
    ...(domain === "" ? [] : [text(7, domain)]),
  ]);
}

function attribute(name: string, value: Attribute): Bytes {
  if (typeof value === "string") return concat([text(1, name), text(4, value), number(20, ATTRIBUTE.string)]);
  if (typeof value === "number") return concat([text(1, name), number(3, value), number(20, ATTRIBUTE.int)]);
  if ("float" in value) return concat([text(1, name), float(2, value.float), number(20, ATTRIBUTE.float)]);
  return concat([text(1, name), ...value.map((n) => number(8, n)), number(20, ATTRIBUTE.ints)]);
}

/** An input or output; a name stands for a dimension that may vary. */
export function value(name: string, type: DataType, shape: readonly (number | string)[]): Bytes {
  const dimensions = shape.map((n) => message(1, typeof n === "string" ? text(2, n) : number(1, n)));
  return concat([text(1, name), message(2, message(1, concat([number(1, DATA_TYPES[type]), message(2, concat(dimensions))])))]);
}

export interface Graph {
  readonly nodes: Bytes[];
  readonly initialisers: Bytes[];
  readonly inputs: Bytes[];
  readonly outputs: Bytes[];
}

export function onnxFile({ nodes, initialisers, inputs, outputs }: Graph): Bytes {
  const graph = concat([
    ...nodes.map((n) => message(1, n)),
    text(2, "graph"),
    ...initialisers.map((t) => message(5, t)),
    ...inputs.map((v) => message(11, v)),
    ...outputs.map((v) => message(12, v)),
  ]);
  const opset = (domain: string, version: number): Bytes => message(8, concat([text(1, domain), number(2, version)]));
  return concat([number(1, 8), text(2, "fathom-bench"), message(7, graph), opset("", 17), opset("com.microsoft", 1)]);
}
