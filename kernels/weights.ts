/**
 * Weights in GPU memory: a sink that streams them there. Quantised tiles are copied as they come; float matrices are cut
 * into tiles of 16 rows on the way, so that neighbouring threads read neighbouring words. All vectors and the rotary
 * tables share one buffer.
 */
/// <reference types="@webgpu/types" />
import { FINAL_NORM, GATE, weightSpecs, type WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { rotaryTable } from "../engine/model/rotary.ts";
import type { TensorWriter } from "../engine/model/safetensors.ts";
import type { ExitGate } from "../engine/port/backend.ts";
import { assembleModel, type BlockParts, type ModelParts } from "../engine/port/assemble.ts";
import type { Device } from "./device.ts";
import { allocateMatrix, checkSplit, matrixBytes, wholeBuffer, writeMatrix, type GpuMatrix } from "./matrix.ts";
import { tileWriter, type FloatFormat } from "./tiles.ts";

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
  const plan = weightPlan(device, floats);
  plan.least(config);
  const rotary = rotaryTable(config);
  const at = { finalNorm: offsets.get(FINAL_NORM)!, rotaryCos: elements, rotarySin: elements + rotary.cos.length };
  const vectors = device.storage("weights", 4 * (elements + 2 * rotary.cos.length), "norms, biases and rotary tables");
  device.write(vectors, 4 * at.rotaryCos, rotary.cos);
  device.write(vectors, 4 * at.rotarySin, rotary.sin);

  const host = new Map<string, Float32Array>([[FINAL_NORM, new Float32Array(config.width)]]);
  if (config.recurrence.exitGate) host.set(GATE.weight, new Float32Array(config.width)).set(GATE.bias, new Float32Array(1));
  const matrices = new Map<string, GpuMatrix>();
  const sink: WeightSink = {
    expect: plan.check,
    matrix(name, layout) {
      device.check(); // the device says late that it has no room
      const matrix = allocateMatrix(device, name, layout, floats);
      matrices.set(name, matrix);
      const write = (offset: number, data: Uint8Array | Float32Array | Uint32Array): void => writeMatrix(device, matrix, offset, data);
      return layout.format === "f32" ? tileWriter(layout.columns, floats, write) : copyWriter(write);
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

/** Refuses weights that the device cannot take, before any of them goes there. */
function weightPlan(
  device: Device,
  floats: FloatFormat,
): { readonly least: (config: ModelConfig) => void; readonly check: NonNullable<WeightSink["expect"]> } {
  const ensure = (bytes: number, what: string): void => device.ensureTotal(bytes, `${what}; fathom convert --quant q4 makes them smallest`);
  return {
    least(config) {
      const weights = weightSpecs(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
      ensure(weights / 2, `${weights} weights, of half a byte each`);
    },
    check(matrices) {
      for (const [name, layout] of matrices) checkSplit(name, layout, floats, device.largestBuffer);
      const bytes = [...matrices.values()].reduce((sum, layout) => sum + matrixBytes(layout, floats).bytes, 0);
      ensure(bytes, `${matrices.size} matrices`);
    },
  };
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

/** Bytes of the core's matrices; undefined where one of them lies in several buffers. */
export function coreBytes(model: GpuModel): number | undefined {
  const parts = coreMatrices(model).map((matrix) => matrix.parts);
  return parts.some(({ length }) => length > 1) ? undefined : parts.flat().reduce((sum, { buffer }) => sum + buffer.size, 0);
}

/** A model with the core's matrices in one buffer of so many bytes, where one kernel can reach them all. */
export function joinCore(device: Device, model: GpuModel, bytes: number): GpuModel {
  const matrices = coreMatrices(model);
  const buffer = device.storage("weights", bytes, "core weights");
  const joined = new Map<GpuMatrix, GpuMatrix>();
  let at = 0;
  device.submit((encoder) => {
    for (const matrix of matrices) {
      const own = wholeBuffer(matrix);
      encoder.copyBufferToBuffer(own, 0, buffer, at, own.size);
      joined.set(matrix, { ...matrix, parts: [{ buffer, at: at / 4, from: 0, to: matrix.rows }] });
      at += own.size;
    }
  });
  for (const matrix of matrices) device.destroy(wholeBuffer(matrix));
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
