/**
 * Checkpoint conversion: which format each tensor gets, where it lies in the new file, and its bytes. Pure; files are
 * read and written by the caller (cli/convert.ts). Norms and biases stay f32; with q4 the embedding and head are q8,
 * as they are read a row at a time and decide near ties.
 */
import { FathomError } from "../errors.ts";
import { EMBEDDING, HEAD, QUANT_METADATA, weightSpecs, type WeightSink, type WeightSpec } from "./checkpoint.ts";
import type { ModelConfig } from "./config.ts";
import { checkLayout, GROUPS, quantise, quantisedBytes, type QuantFormat, type QuantLayout } from "./quantised.ts";

export const TARGET_FORMATS = ["f32", "q8", "q4"] as const;
export type TargetFormat = (typeof TARGET_FORMATS)[number];

/** The group that the fast kernels are tuned for; smaller where the columns ask for it. */
const PREFERRED_GROUP = 64;

export interface PlannedTensor {
  readonly spec: WeightSpec;
  /** undefined: f32. */
  readonly layout: QuantLayout | undefined;
  /** Byte range in the new file's data section. */
  readonly begin: number;
  readonly end: number;
}

export interface ConversionPlan {
  readonly tensors: ReadonlyMap<string, PlannedTensor>;
  /** The file's bytes before its data: length and JSON, padded to 8 bytes. */
  readonly header: Uint8Array;
  readonly dataBytes: number;
}

/** @throws {FathomError} invalid_request when a matrix cannot be cut into groups. */
export function planConversion(config: ModelConfig, format: TargetFormat, group?: number): ConversionPlan {
  const tensors = new Map<string, PlannedTensor>();
  let at = 0;
  for (const spec of weightSpecs(config)) {
    const layout = layoutFor(spec, format, group);
    const bytes = layout === undefined ? spec.shape.reduce((a, b) => a * b, 4) : quantisedBytes(layout);
    tensors.set(spec.name, { spec, layout, begin: at, end: at + bytes });
    at += bytes;
  }
  return { tensors, header: encodeHeader(tensors), dataBytes: at };
}

function layoutFor(spec: WeightSpec, format: TargetFormat, group: number | undefined): QuantLayout | undefined {
  if (spec.kind === "vector" || format === "f32") return undefined;
  const [rows = 0, columns = 0] = spec.shape;
  const chosen: QuantFormat = spec.name === EMBEDDING || spec.name === HEAD ? "q8" : format;
  const fitting = group ?? [PREFERRED_GROUP, ...GROUPS].find((g) => g <= PREFERRED_GROUP && columns % g === 0) ?? GROUPS[0]!;
  const layout: QuantLayout = { format: chosen, rows, columns, group: fitting };
  checkLayout(layout, spec.name);
  return layout;
}

function encodeHeader(tensors: ReadonlyMap<string, PlannedTensor>): Uint8Array {
  const entries: Record<string, unknown> = {};
  const layouts: Record<string, QuantLayout> = {};
  for (const [name, { spec, layout, begin, end }] of tensors) {
    entries[name] =
      layout === undefined
        ? { dtype: "F32", shape: spec.shape, data_offsets: [begin, end] }
        : { dtype: "U8", shape: [end - begin], data_offsets: [begin, end] };
    if (layout !== undefined) layouts[name] = layout;
  }
  const metadata = { format: "pt", ...(Object.keys(layouts).length > 0 && { [QUANT_METADATA]: JSON.stringify(layouts) }) };
  const json = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, ...entries }));
  const padded = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, 8);
  return header;
}

/** A sink that converts tensor by tensor and hands each one's bytes to `store`. */
export function convertingSink(plan: ConversionPlan, store: (tensor: PlannedTensor, bytes: Uint8Array) => void): WeightSink {
  const collect = (name: string, length: number): ReturnType<WeightSink["vector"]> => {
    const planned = plan.tensors.get(name)!;
    const floats = new Float32Array(length);
    const bytes = new Uint8Array(floats.buffer);
    let at = 0;
    return {
      write(chunk) {
        bytes.set(chunk, at);
        at += chunk.length;
      },
      done() {
        const bad = floats.findIndex((v) => !Number.isFinite(v));
        if (bad >= 0)
          throw new FathomError(
            "invalid_checkpoint",
            `Tensor ${name} holds ${floats[bad]} at element ${bad}; weights must be finite numbers.`,
            name,
          );
        store(planned, planned.layout === undefined ? bytes : quantise(floats, planned.layout, name));
      },
    };
  };
  return {
    matrix(name, layout) {
      if (layout.format !== "f32")
        throw new FathomError(
          "invalid_request",
          `The source is already quantised (${name} is ${layout.format}); convert from the f32, f16 or bf16 checkpoint.`,
          name,
        );
      return collect(name, layout.rows * layout.columns);
    },
    vector: collect,
  };
}
