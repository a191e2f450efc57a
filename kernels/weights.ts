/**
 * Weights in GPU memory: a sink that streams them there. Quantised tiles are copied as they come; float matrices are cut
 * into tiles of 16 rows on the way, so that neighbouring threads read neighbouring words. All vectors and the rotary
 * tables share one buffer.
 */
/// <reference types="@webgpu/types" />
import { FINAL_NORM, GATE, weightSpecs, type WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { quantisedBytes, TILE_ROWS } from "../engine/model/quantised.ts";
import { rotaryTable } from "../engine/model/rotary.ts";
import type { TensorWriter } from "../engine/model/safetensors.ts";
import type { ExitGate } from "../engine/port/backend.ts";
import { assembleModel, type BlockParts, type ModelParts } from "../engine/port/assemble.ts";
import type { Device } from "./device.ts";
import { floatTileBytes, tileWriter, type FloatFormat } from "./tiles.ts";

export type WeightType = "f32" | "f16" | "q8" | "q4";

/** y = x W^T in tiles of 16 rows. f32: [tiles][columns][16]; f16: [tiles][columns / 2][16] pairs; q8, q4: the file's. */
export interface GpuMatrix {
  readonly type: WeightType;
  readonly rows: number;
  readonly columns: number;
  /** Columns that share a scale; 0 for floats. */
  readonly group: number;
  readonly buffer: GPUBuffer;
  /** First word in it. */
  readonly at: number;
}

/** Norms and bias are offsets into `vectors`, in elements. */
export type GpuBlock = BlockParts<GpuMatrix, number>;

export interface GpuModel extends ModelParts<GpuMatrix, number> {
  readonly vectors: GPUBuffer;
  /** Offsets in `vectors`. */
  readonly at: { readonly finalNorm: number; readonly rotaryCos: number; readonly rotarySin: number };
  /** A copy of ln_f for the host, [width] */
  readonly hostFinalNorm: Float32Array;
  /** The learned exit gate, where the model has one: the host's alone. */
  readonly exitGate: ExitGate | undefined;
}

export function loadWeights(config: ModelConfig, device: Device, floats: FloatFormat): { sink: WeightSink; finish(): GpuModel } {
  const offsets = new Map<string, number>();
  let elements = 0;
  for (const { name, kind, shape } of weightSpecs(config))
    if (kind === "vector") {
      offsets.set(name, elements);
      elements += shape.reduce((a, b) => a * b, 1);
    }
  const rotary = rotaryTable(config);
  const at = { finalNorm: offsets.get(FINAL_NORM)!, rotaryCos: elements, rotarySin: elements + rotary.cos.length };
  const vectors = device.storage("weights", 4 * (elements + 2 * rotary.cos.length), "norms, biases and rotary tables");
  device.write(vectors, 4 * at.rotaryCos, rotary.cos);
  device.write(vectors, 4 * at.rotarySin, rotary.sin);

  const host = new Map<string, Float32Array>([[FINAL_NORM, new Float32Array(config.width)]]);
  if (config.recurrence.exitGate) host.set(GATE.weight, new Float32Array(config.width)).set(GATE.bias, new Float32Array(1));
  const matrices = new Map<string, GpuMatrix>();
  const sink: WeightSink = {
    matrix(name, layout) {
      const { rows, columns } = layout;
      const type = layout.format === "f32" ? floats : layout.format;
      const group = layout.format === "f32" ? 0 : layout.group;
      const bytes = layout.format === "f32" ? floatTileBytes(floats, columns) * Math.ceil(rows / TILE_ROWS) : quantisedBytes(layout);
      const buffer = device.storage("weights", bytes, name);
      matrices.set(name, { type, rows, columns, group, buffer, at: 0 });
      const write = (offset: number, data: Uint8Array | Float32Array | Uint32Array): void => device.write(buffer, offset, data);
      return layout.format === "f32" ? tileWriter(columns, floats, write) : copyWriter(write);
    },
    vector(name) {
      const start = 4 * offsets.get(name)!;
      const copy = host.get(name) && new Uint8Array(host.get(name)!.buffer);
      return copyWriter((offset, data) => {
        copy?.set(data, offset);
        device.write(vectors, start + offset, data);
      });
    },
  };
  const [weight, bias] = [host.get(GATE.weight), host.get(GATE.bias)];
  const finish = (): GpuModel => ({
    ...assembleModel(config, matrices, offsets),
    vectors,
    at,
    hostFinalNorm: host.get(FINAL_NORM)!,
    exitGate: weight && bias && { weight, bias: bias[0]! },
  });
  return { sink, finish };
}

/** Passes bytes on in whole words, as GPU writes need them. */
function copyWriter(write: (offset: number, data: Uint8Array) => void): TensorWriter {
  let at = 0;
  let rest = new Uint8Array(0);
  return {
    write(chunk) {
      if (rest.length === 0 && chunk.length % 4 === 0) {
        write(at, chunk);
        at += chunk.length;
        return;
      }
      const joined = new Uint8Array(rest.length + chunk.length);
      joined.set(rest);
      joined.set(chunk, rest.length);
      const whole = joined.length & ~3;
      if (whole > 0) write(at, joined.subarray(0, whole));
      at += whole;
      rest = joined.slice(whole);
    },
    done: () => undefined,
  };
}

/** The core's matrices, in the order of parts/fused-core.wgsl: adapter, then qkv, projection, fc, projection of every block. */
export function coreMatrices({ adapter, core }: GpuModel): GpuMatrix[] {
  return [...(adapter === undefined ? [] : [adapter]), ...core.flatMap((block) => [block.qkv, block.attentionOut, block.fc, block.mlpOut])];
}

export function coreBytes(model: GpuModel): number {
  return coreMatrices(model).reduce((sum, matrix) => sum + matrix.buffer.size, 0);
}

/** A model with the core's matrices in one buffer, where one kernel can reach them all. */
export function joinCore(device: Device, model: GpuModel): GpuModel {
  const matrices = coreMatrices(model);
  const buffer = device.storage("weights", coreBytes(model), "core weights");
  const joined = new Map<GpuMatrix, GpuMatrix>();
  let at = 0;
  device.submit((encoder) => {
    for (const matrix of matrices) {
      encoder.copyBufferToBuffer(matrix.buffer, 0, buffer, at, matrix.buffer.size);
      joined.set(matrix, { ...matrix, buffer, at: at / 4 });
      at += matrix.buffer.size;
    }
  });
  for (const matrix of matrices) device.destroy(matrix.buffer);
  const find = (matrix: GpuMatrix): GpuMatrix => joined.get(matrix)!;
  return {
    ...model,
    adapter: model.adapter && find(model.adapter),
    core: model.core.map((block) => ({
      ...block,
      qkv: find(block.qkv),
      attentionOut: find(block.attentionOut),
      fc: find(block.fc),
      mlpOut: find(block.mlpOut),
    })),
  };
}
