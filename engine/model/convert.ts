/**
 * Checkpoint conversion: which format each tensor gets, where it lies in the new file, and its bytes. Pure; files are
 * read and written by the caller (cli/convert.ts). Norms and biases stay f32; with q4 the embedding and head are q8,
 * as they are read a row at a time and decide near ties.
 */
import { FathomError } from "../errors.ts";
import { EMBEDDING, HEAD, QUANT_METADATA, weightSpecs, type WeightSink, type WeightSpec } from "./checkpoint.ts";
import type { ModelConfig } from "./config.ts";
import { checkScales } from "./finite.ts";
import { quantiseTiles, type QuantiseTiles } from "./quantise.ts";
import { checkLayout, GROUPS, quantisedBytes, TILE_ROWS, type QuantFormat, type QuantLayout } from "./quantised.ts";
import type { TensorWriter } from "./safetensors.ts";

/** Formats that a checkpoint can be converted to. */
export const TARGET_FORMATS = ["f32", "q8", "q4"] as const;

/** A format that a checkpoint can be converted to: f32 or blocks of 8 or 4 bits with a scale. */
export type TargetFormat = (typeof TARGET_FORMATS)[number];

/** The group that the fast kernels are tuned for; smaller where the columns ask for it. */
const PREFERRED_GROUP = 64;

export interface PlannedTensor {
  readonly spec: WeightSpec;
  /** Layout of a quantised matrix; undefined: f32. */
  readonly layout: QuantLayout | undefined;
  /** Byte range in the new file's data section. */
  readonly begin: number;
  readonly end: number;
}

/** The file that a conversion will write, before any weight is read. */
export interface ConversionPlan {
  readonly tensors: ReadonlyMap<string, PlannedTensor>;
  /** The file's bytes before its data: length and JSON, padded to 8 bytes. */
  readonly header: Uint8Array;
  readonly dataBytes: number;
}

/**
 * Lays out the file that a model's weights will be converted to.
 * @param group columns that share a scale: 32, 64 or 128 [default 64, less where the columns ask for it]
 * @throws {FathomError} invalid_request when a matrix cannot be cut into groups.
 */
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
  checkLayout(layout, spec.file);
  return layout;
}

/** A safetensors file's bytes before its data: length and JSON, padded to 8 bytes. */
export function encodeHeader(tensors: ReadonlyMap<string, PlannedTensor>): Uint8Array {
  const entries: Record<string, unknown> = {};
  const layouts: Record<string, QuantLayout> = {};
  for (const { spec, layout, begin, end } of tensors.values()) {
    entries[spec.file] =
      layout === undefined
        ? { dtype: "F32", shape: spec.shape, data_offsets: [begin, end] }
        : { dtype: "U8", shape: [end - begin], data_offsets: [begin, end] };
    if (layout !== undefined) layouts[spec.file] = layout;
  }
  const metadata = { format: "pt", ...(Object.keys(layouts).length > 0 && { [QUANT_METADATA]: JSON.stringify(layouts) }) };
  const json = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, ...entries }));
  const padded = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, 8);
  return header;
}

/** Weights that are quantised at once, in bytes of f32: no matrix is held whole, and several threads have tiles to take. */
const STRIPE_BYTES = 1 << 22;

/** Takes bytes of a tensor of the new file, from its byte `at` on; they are valid during the call. */
export type StoreBytes = (tensor: PlannedTensor, bytes: Uint8Array, at: number) => void;

/**
 * A sink that converts as weights arrive and hands the bytes to `store`.
 * @param quantise [default plain TypeScript]
 */
export function convertingSink(plan: ConversionPlan, store: StoreBytes, quantise: QuantiseTiles = quantiseTiles): WeightSink {
  const writerFor = (name: string): TensorWriter => {
    const planned = plan.tensors.get(name)!;
    if (planned.layout !== undefined) return quantisingWriter(planned, planned.layout, store, quantise);
    let at = 0;
    return {
      write(chunk) {
        store(planned, chunk, at);
        at += chunk.length;
      },
      done() {},
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
      return writerFor(name);
    },
    vector: writerFor,
  };
}

/** Collects some tiles, quantises them, collects the next ones. */
function quantisingWriter(planned: PlannedTensor, layout: QuantLayout, store: StoreBytes, quantise: QuantiseTiles): TensorWriter {
  const { rows, columns } = layout;
  const tileFloats = TILE_ROWS * columns;
  const tiles = Math.min(Math.ceil(rows / TILE_ROWS), Math.max(1, Math.floor(STRIPE_BYTES / (4 * tileFloats))));
  const floats = new Float32Array(tiles * tileFloats);
  const bytes = new Uint8Array(floats.buffer);
  const packed = new Uint8Array(quantisedBytes({ ...layout, rows: tiles * TILE_ROWS }));
  const tileBytes = packed.length / tiles;
  let [filled, at] = [0, 0];
  const flush = (): void => {
    const stripeRows = filled / (4 * columns);
    const out = packed.subarray(0, Math.ceil(stripeRows / TILE_ROWS) * tileBytes);
    quantise(floats, stripeRows, out, layout);
    checkScales(planned.spec.file, out, layout);
    store(planned, out, at);
    at += out.length;
    filled = 0;
  };
  return {
    write(chunk) {
      for (let from = 0; from < chunk.length;) {
        const part = chunk.subarray(from, from + bytes.length - filled);
        bytes.set(part, filled);
        filled += part.length;
        from += part.length;
        if (filled === bytes.length) flush();
      }
    },
    done() {
      if (filled > 0) flush();
    },
  };
}
