/**
 * Rows in flight on the device: their slots (state, embedding, entry in the row table) and the scratch, lists and results
 * of a call. All grow on demand by doubling; growing keeps what lies in the slots.
 */
/// <reference types="@webgpu/types" />
import type { Row } from "../engine/port/backend.ts";
import { FathomError } from "../engine/errors.ts";
import type { Region } from "./arena.ts";
import type { Device } from "./device.ts";
import type { ScratchLayout, StateLayout } from "./layout.ts";
import type { SharedBuffers } from "./program.ts";
import type { ListName } from "./programs.ts";
import type { GpuSequence } from "./sequence.ts";

/** Words of a row in the row table, as parts/rows.wgsl has it. */
export const ROW_WORDS = 24;

/** In the place of an offset: there is none. */
export const NONE = 0xffffffff;

/** Where a row's s_0 comes from, as parts/begin.wgsl numbers it. */
export const START = { zero: 0, given: 1, normalised: 2 } as const;

export class GpuRow implements Row {
  readonly sequence: GpuSequence;
  readonly position: number;
  readonly token: number;
  readonly slot: number;
  iterations = 0;
  /** Where its attention weights are, where its sequence keeps them. */
  readonly attended: Region | undefined;
  released = false;

  constructor(sequence: GpuSequence, position: number, token: number, slot: number, attended: Region | undefined) {
    this.sequence = sequence;
    this.position = position;
    this.token = token;
    this.slot = slot;
    this.attended = attended;
  }
}

const LISTS: readonly ListName[] = ["turn", "core", "heads"];

export class RowPool {
  readonly #device: Device;
  readonly #shared: SharedBuffers;
  readonly #scratch: ScratchLayout;
  readonly #states: StateLayout;
  /** Slots, and rows of a call. */
  #slots = 0;
  #callRows = 0;
  #resultBytes = 0;
  #free: number[] = [];

  constructor(device: Device, shared: SharedBuffers, scratch: ScratchLayout, states: StateLayout) {
    this.#device = device;
    this.#shared = shared;
    this.#scratch = scratch;
    this.#states = states;
    this.#growSlots(8);
    this.ensureCall(1);
    this.ensureResults(256);
  }

  /** Most rows in one call: what fits the largest buffer, and a dispatch. */
  get maxRows(): number {
    const bytes = 4 * Math.max(this.#scratch.stride, this.#states.stride);
    return Math.min(Math.floor(this.#device.largestBuffer / bytes), this.#device.gpu.limits.maxComputeWorkgroupsPerDimension);
  }

  /** @throws {FathomError} out_of_memory, with nothing taken */
  take(count: number): number[] {
    while (this.#free.length < count) this.#growSlots(Math.max(2 * this.#slots, this.#slots + count - this.#free.length));
    return this.#free.splice(0, count);
  }

  give(slots: readonly number[]): void {
    this.#free = [...this.#free, ...slots].sort((a, b) => a - b);
  }

  /** Room for a call of so many rows. @throws {FathomError} out_of_memory */
  ensureCall(rows: number): void {
    if (rows <= this.#callRows) return;
    if (rows > this.maxRows)
      throw new FathomError("out_of_memory", `A call of ${rows} rows does not fit this GPU device; it takes ${this.maxRows}.`);
    const size = Math.min(this.maxRows, Math.max(rows, 2 * this.#callRows));
    this.#replace("scratch", 4 * this.#scratch.stride * size, "scratch of rows");
    for (const list of LISTS) this.#replace(list, 4 * (1 + size), "list of rows");
    this.#callRows = size;
  }

  /** @throws {FathomError} out_of_memory */
  ensureResults(bytes: number): void {
    if (bytes <= this.#resultBytes) return;
    this.#resultBytes = Math.max(bytes, Math.min(2 * this.#resultBytes, this.#device.largestBuffer));
    this.#replace("results", this.#resultBytes, "results of a call");
  }

  /** Names the rows of the next dispatches. */
  list(name: ListName, slots: readonly number[]): void {
    this.#device.write(this.#shared.get(name), 0, Uint32Array.of(slots.length, ...slots));
  }

  /** Writes a row's entry in the row table, or words of it from `first` on. */
  describe(slot: number, words: Uint32Array, first = 0): void {
    this.#device.write(this.#shared.get("rows"), (slot * ROW_WORDS + first) * 4, words);
  }

  stateOffset(slot: number, element: number): number {
    return 4 * (slot * this.#states.stride + element);
  }

  #growSlots(count: number): void {
    const { stride } = this.#states;
    const old = this.#slots;
    this.#device.ensureRoom(4 * stride * count, "states of rows");
    this.#replace("states", 4 * stride * count, "states of rows", 4 * stride * old);
    this.#replace("rows", 4 * ROW_WORDS * count, "table of rows", 4 * ROW_WORDS * old);
    for (let slot = old; slot < count; slot++) this.#free.push(slot);
    this.#slots = count;
  }

  /** A larger buffer in place of one; its first `keep` bytes stay. */
  #replace(name: string, bytes: number, what: string, keep = 0): void {
    const old = this.#shared.find(name);
    const buffer = this.#device.storage(name === "results" ? "results" : "rows", bytes, what);
    if (old !== undefined && keep > 0) this.#device.submit((encoder) => encoder.copyBufferToBuffer(old, 0, buffer, 0, keep));
    if (old !== undefined) this.#device.destroy(old);
    this.#shared.set(name, buffer);
  }
}
