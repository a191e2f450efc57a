/**
 * Weights in Wasm memory: a sink that streams them there, and the model that the kernels see. Quantised tiles are
 * copied as they come; f32 matrices are cut into tiles of 16 rows on the way.
 */
import type { ModelConfig } from "../engine/model/config.ts";
import type { MatrixLayout, WeightSink } from "../engine/model/checkpoint.ts";
import { blockBytes, quantisedBytes, TILE_ROWS } from "../engine/model/quantised.ts";
import type { TensorWriter } from "../engine/model/safetensors.ts";
import { assembleModel, type BlockParts, type ModelParts } from "../engine/port/assemble.ts";
import type { Arena, Region } from "./arena.ts";

/** y = x W^T in tiles of 16 rows; f32 tiles are [column][16] f32. */
export interface WasmMatrix {
  readonly format: "f32" | "q8" | "q4";
  readonly rows: number;
  readonly columns: number;
  /** Columns that share a scale; 0 for f32. */
  readonly group: number;
  readonly address: number;
  readonly tiles: number;
  readonly tileBytes: number;
  /** Address of the matrix's record for the kernels, which the workspace writes once it knows how rows lie. */
  readonly record: number;
}

/** Vectors are addresses of f32. */
export type WasmBlock = BlockParts<WasmMatrix, number>;
export type WasmModel = ModelParts<WasmMatrix, number>;

function tileBytesOf(layout: MatrixLayout): number {
  if (layout.format === "f32") return layout.columns * TILE_ROWS * 4;
  return (layout.columns / layout.group) * blockBytes(layout.format, layout.group);
}

/** A sink into the arena, and the model once everything has arrived. @param recordBytes of a matrix's record */
export function loadWeights(config: ModelConfig, arena: Arena, recordBytes: number): { sink: WeightSink; finish(): WasmModel } {
  const matrices = new Map<string, WasmMatrix>();
  const vectors = new Map<string, number>();
  const sink: WeightSink = {
    matrix(name, layout) {
      const tiles = Math.ceil(layout.rows / TILE_ROWS);
      const tileBytes = tileBytesOf(layout);
      const region = arena.allocate("weights", tiles * tileBytes, name);
      const { format, rows, columns } = layout;
      const group = layout.format === "f32" ? 0 : layout.group;
      const record = arena.allocate("tables", recordBytes, name).address;
      matrices.set(name, { format, rows, columns, group, address: region.address, tiles, tileBytes, record });
      if (layout.format === "f32") return tileWriter(arena, region, columns);
      return copyWriter(arena, region, quantisedBytes(layout));
    },
    vector(name, length) {
      const region = arena.allocate("weights", length * 4, name);
      vectors.set(name, region.address);
      return copyWriter(arena, region, length * 4);
    },
  };
  return { sink, finish: () => assembleModel(config, matrices, vectors) };
}

/** Writes bytes one behind the other. The view is taken anew each time: memory may have grown. */
function copyWriter(arena: Arena, region: Region, length: number): TensorWriter {
  let at = 0;
  return {
    write(chunk) {
      if (at + chunk.length > length) throw new RangeError(`more than the ${length} bytes announced`);
      arena.bytes.set(chunk, region.address + at);
      at += chunk.length;
    },
    done() {},
  };
}

/** Row-major f32 that arrives in chunks of any size -> [tile][column][16] f32. */
function tileWriter(arena: Arena, region: Region, columns: number): TensorWriter {
  arena.bytes.fill(0, region.address, region.address + region.bytes); // padding rows must not be what was here before
  const base = region.address / 4;
  const split = new Uint8Array(4);
  let splitBytes = 0;
  let [row, column] = [0, 0];
  const put = (values: Float32Array): void => {
    const { floats } = arena;
    for (const value of values) {
      floats[base + ((row >> 4) * columns + column) * TILE_ROWS + (row & 15)] = value;
      if (++column === columns) [row, column] = [row + 1, 0];
    }
  };
  return {
    write(chunk) {
      let at = 0;
      while (splitBytes > 0 && at < chunk.length) {
        split[splitBytes++] = chunk[at++]!;
        if (splitBytes < 4) continue;
        put(new Float32Array(split.slice().buffer));
        splitBytes = 0;
      }
      const whole = at + ((chunk.length - at) & ~3);
      // a copy of the buffer, not chunk.slice: Node's Buffer would give a view, at any offset
      if (whole > at) put(new Float32Array(chunk.buffer.slice(chunk.byteOffset + at, chunk.byteOffset + whole)));
      for (at = whole; at < chunk.length; at++) split[splitBytes++] = chunk[at]!;
    },
    done() {},
  };
}
