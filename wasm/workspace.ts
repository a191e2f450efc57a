/**
 * Memory that every call reuses: the matrices' inputs and outputs for one chunk of rows, and tables that grow with the
 * longest sequence. A call may carry any number of rows; they pass through here a chunk at a time.
 */
import type { ModelConfig } from "../engine/model/config.ts";
import { rotaryTable } from "../engine/model/rotary.ts";
import type { Arena, Region } from "./arena.ts";
import { quantisedRowBytes, type Kernels } from "./kernels.ts";
import type { WasmBlock, WasmMatrix, WasmModel } from "./weights.ts";

/** Rows that pass through a matrix together. More gain nothing: the weights' share of the time is already small. */
export const CHUNK_ROWS = 65;

export class Workspace {
  /** f32 inputs of matrices, CHUNK_ROWS rows. */
  readonly input: number;
  readonly inputStride: number;
  /** Quantised inputs, CHUNK_ROWS rows. */
  readonly activations: number;
  readonly activationStride: number;
  /** Outputs of matrices, CHUNK_ROWS rows padded to whole tiles. */
  readonly output: number;
  readonly outputStride: number;
  /** { value f32, index i32 }: what keepLargest gives back. */
  readonly result: number;
  readonly #arena: Arena;
  readonly #config: ModelConfig;
  /** [positions] of cos, then sin, [headDim / 2] f32 each. */
  #angles: Region | undefined;
  #anglePositions = 0;
  /** f32 scores of the longest list of entries. */
  #scores: Region | undefined;
  /** Addresses of entries, for rows that do not see every position of their slot. */
  #lists: Region | undefined;

  constructor(arena: Arena, config: ModelConfig, kernels: Kernels, model: WasmModel) {
    this.#arena = arena;
    this.#config = config;
    const inBlocks = [...model.prelude, ...model.core, ...model.coda].flatMap((b: WasmBlock) => [b.qkv, b.attentionOut, b.fc, b.mlpOut]);
    const all = [...inBlocks, model.adapter, model.head];
    const stride = (bytes: number): number => Math.ceil(bytes / 64) * 64;
    this.inputStride = stride(Math.max(...all.map((m) => m.columns)) * 4);
    const quantised = all.filter((m): m is WasmMatrix & { format: "q8" | "q4" } => m.format !== "f32");
    this.activationStride = stride(Math.max(64, ...quantised.map((m) => quantisedRowBytes(m.columns, m.group, kernels.forms[m.format]))));
    this.outputStride = Math.max(...[...inBlocks, model.adapter].map((m) => m.tiles)) * 64;
    this.input = this.#take(CHUNK_ROWS * this.inputStride);
    this.activations = this.#take(CHUNK_ROWS * this.activationStride);
    this.output = this.#take(CHUNK_ROWS * this.outputStride);
    this.result = this.#take(8);
  }

  #take(bytes: number): number {
    return this.#arena.allocate("scratch", bytes, "working memory").address;
  }

  /** Makes room for sequences of this many positions. @throws {FathomError} out_of_memory */
  reservePositions(positions: number): void {
    const words = Math.ceil(positions / 16) * 16;
    this.#scores = this.#grow(this.#scores, words * 4, "attention scores");
    if (positions > this.#anglePositions)
      this.#fillAngles(Math.min(this.#config.contextLength, Math.max(words, 256, 2 * this.#anglePositions)));
  }

  get scores(): number {
    return this.#scores!.address;
  }

  /** Address of a position's cosines and sines. */
  angles(position: number): number {
    return this.#angles!.address + position * this.#config.headDim * 4;
  }

  /** Room for addresses of `words` entries. @throws {FathomError} out_of_memory */
  lists(words: number): number {
    this.#lists = this.#grow(this.#lists, words * 4, "lists of cache entries");
    return this.#lists.address;
  }

  #grow(region: Region | undefined, bytes: number, what: string): Region {
    if (region !== undefined && region.bytes >= bytes) return region;
    const larger = this.#arena.allocate("tables", bytes, what);
    if (region !== undefined) this.#arena.free(region); // only now: a refusal leaves the old one
    return larger;
  }

  #fillAngles(positions: number): void {
    const half = this.#config.headDim / 2;
    const region = this.#grow(this.#angles, positions * half * 8, "the rotary table");
    const { cos, sin } = rotaryTable(this.#config, positions);
    const { floats } = this.#arena;
    for (let p = 0; p < positions; p++) {
      const at = region.address / 4 + p * 2 * half;
      floats.set(cos.subarray(p * half, (p + 1) * half), at);
      floats.set(sin.subarray(p * half, (p + 1) * half), at + half);
    }
    this.#angles = region;
    this.#anglePositions = positions;
  }
}
