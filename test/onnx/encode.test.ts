/**
 * ONNX files: the compiled schema against the published one, and what the exported graphs are made of.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fileDesc } from "@bufbuild/protobuf/codegenv2";
import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../engine/model/config.ts";
import { layoutOf } from "../../engine/model/families/index.ts";
import { encodeOnnx, OPSET, type OnnxGraph } from "../../onnx/encode.ts";
import { buildGraph } from "../../onnx/graphs.ts";
import { ONNX_DESCRIPTOR } from "../../onnx/proto/descriptor.ts";
import { STAGES } from "../../engine/model/stage.ts";
import { collectWeights, ONNX_FORMATS } from "../../onnx/weights.ts";
import { randomWeights, SMALL } from "../wasm/models.ts";

describe("the schema", () => {
  it("is the published onnx-ml.proto, field by field", () => {
    const text = readFileSync(fileURLToPath(new URL("../../onnx/proto/onnx-ml.proto", import.meta.url)), "utf8").replace(/\/\/.*/g, "");
    const { messages } = fileDesc(btoa(ONNX_DESCRIPTOR));
    expect(messages.map((m) => m.name)).toEqual([...text.matchAll(/^message (\w+)/gm)].map((m) => m[1]));
    for (const message of messages) {
      const body = text.slice(text.indexOf(`message ${message.name} {`)).split(/^}/m)[0]!;
      for (const field of message.fields) expect(body).toMatch(new RegExp(`\\b${field.name} = ${field.number}\\b`));
    }
  });
});

/** The operators that the graphs may use, all of ONNX's own set by its version 17. */
const STANDARD = [
  "Abs", "Add", "Cast", "Concat", "Div", "Expand", "Gather", "Gemm", "Identity", "MatMul", "MatMulInteger", "Max", "Mul", "Pow",
  "QuantizeLinear", "ReduceMax", "ReduceMean", "Reshape", "Shape", "Sigmoid", "Softmax", "Split", "Sqrt", "Transpose",
]; // prettier-ignore

const PRE_NORM: ModelConfig = {
  ...SMALL,
  kvHeads: 2,
  qkBias: false,
  tiedHead: false,
  ...layoutOf("retrofitted-llama"),
};

describe.each(ONNX_FORMATS)("the graphs in %s", (format) => {
  it.each([
    ["Huginn's block", SMALL],
    ["the pre-norm block", PRE_NORM],
  ])("of %s are of standard operators, every value made once and before it is used", async (_, config) => {
    const weights = await collectWeights(format, randomWeights(config));
    for (const name of STAGES) {
      const graph = buildGraph(config, weights, name);
      expect(STANDARD).toEqual(expect.arrayContaining([...new Set(graph.nodes.map((node) => node.operator))]));
      const known = new Set([...graph.inputs.map((value) => value.name), ...graph.constants.keys()]);
      for (const node of graph.nodes) {
        for (const input of node.inputs) expect(known, `${name}: ${node.operator} ${node.outputs[0]}`).toContain(input);
        for (const output of node.outputs) {
          expect(known).not.toContain(output);
          known.add(output);
        }
      }
      for (const { name: output } of graph.outputs) expect(known).toContain(output);
    }
  });
});

describe("a file", () => {
  const graph = (byteLength: number): OnnxGraph => ({
    name: "core",
    description: "",
    inputs: [],
    outputs: [],
    nodes: [],
    constants: new Map([["w", { type: "float32", shape: [1], data: { ...new Float32Array(1), byteLength } as Float32Array }]]),
  });

  it("that would exceed what ONNX can hold is refused by name", () => {
    expect(() => encodeOnnx(graph(2 ** 31))).toThrow(
      expect.objectContaining({ code: "invalid_request", message: expect.stringContaining("core") }),
    );
  });

  it("says its operator set and what made it", () => {
    const text = new TextDecoder("latin1").decode(encodeOnnx({ ...graph(4), constants: new Map() }, { "fathom.graph": "core" }));
    expect(text).toContain("fathom.graph");
    expect(text).toContain(String.fromCharCode(16, OPSET)); // field 2 of OperatorSetIdProto
  });
});
