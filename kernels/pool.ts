/**
 * Rows in flight on the device: their slots (state, embedding, entry in the row table) and the scratch, lists and results
 * of a call. All grow on demand by doubling; growing keeps what lies in the slots.
 */
/// <reference types="@webgpu/types" />
import type { Row } from "../engine/port/backend.ts";
import type { Place } from "../engine/port/sequences.ts";
import { Arena, undoing, type Region } from "./arena.ts";
import type { Device } from "./device.ts";
import { NONE, ROW, type ScratchLayout, type StateLayout } from "./layout.ts";
import { fieldPacker, type FieldPacker } from "./pack.ts";
import type { ListName, SharedBuffers } from "./program.ts";
import { SEQUENCE_FIELDS, type GpuSequence } from "./sequence.ts";
import { declarationsIn } from "./shader.ts";

const start = declarationsIn("parts/start");

/** Where a row's s_0 comes from: it is given by nobody (zeros, or e), it lies in the row's state, or it is ln_f of what lies there. */
export const START = {
  zero: start.constant("START_ZERO"),
  given: start.constant("START_GIVEN"),
  normalised: start.constant("START_NORMALISED"),
};

/** Fields that every row has. */
export const ROW_FIELDS = ["position", "token", "iteration", "start", ...SEQUENCE_FIELDS, "attended_at"] as const;
const rowPacker = fieldPacker(ROW, ROW_FIELDS);

export class GpuRow implements Row {
  readonly sequence: GpuSequence;
  readonly position: number;
  readonly token: number;
  readonly slot: number;
  iterations = 0;
  /** Place of the row's attention weights, where its sequence keeps them. */
  readonly attended: Region | undefined;
  /** Whether the last readout that it was in asked its head. */
  isHead = false;

  constructor(sequence: GpuSequence, position: number, token: number, slot: number, attended: Region | undefined) {
    this.sequence = sequence;
    this.position = position;
    this.token = token;
    this.slot = slot;
    this.attended = attended;
  }
}

/** What the buffer of attention weights begins with: a prompt of 180 positions. */
const FIRST_ATTENDED_BYTES = 1 << 16;

const LISTS: readonly ListName[] = ["call", "core", "heads"];

export class RowPool {
  readonly #device: Device;
  readonly #shared: SharedBuffers;
  readonly #scratch: ScratchLayout;
  readonly #states: StateLayout;
  readonly #attended: Arena;
  readonly #vocabSize: number;
  /** Slots, and rows of a call. */
  #slots = 0;
  #callRows = 0;
  #resultBytes = 0;
  #free: number[] = [];

  constructor(device: Device, shared: SharedBuffers, scratch: ScratchLayout, states: StateLayout, vocabSize: number) {
    this.#vocabSize = vocabSize;
    this.#device = device;
    this.#shared = shared;
    this.#scratch = scratch;
    this.#states = states;
    this.#attended = new Arena(device, "rows", "attention weights", FIRST_ATTENDED_BYTES, (buffer) => shared.set("attended", buffer));
    this.#growSlots(8);
    this.ensureCall(1);
    this.ensureResults(256);
  }

  /** Most rows in one call: what fits the largest buffer, with the logits of all, and a dispatch. */
  get maxRows(): number {
    const bytes = 4 * Math.max(this.#scratch.stride, this.#states.stride, this.#vocabSize);
    return Math.min(Math.floor(this.#device.largestBuffer / bytes), this.#device.gpu.limits.maxComputeWorkgroupsPerDimension);
  }

  /** Rows in slots of their own, s_0 in place. @throws {FathomError} out_of_memory, with nothing taken */
  take(places: readonly Place<GpuSequence>[]): GpuRow[] {
    const attended = this.#takeAttended(places);
    const slots = undoing(
      () => this.#takeSlots(places.length),
      () => this.#freeAttended(attended),
    );
    return places.map((place, i) => this.#begin(place, slots[i]!, attended[i]));
  }

  give(rows: readonly GpuRow[]): void {
    this.#freeAttended(rows.map((row) => row.attended));
    this.#free = [...this.#free, ...rows.map((row) => row.slot)].sort((a, b) => a - b);
  }

  #takeSlots(count: number): number[] {
    while (this.#free.length < count) this.#growSlots(Math.max(2 * this.#slots, this.#slots + count - this.#free.length));
    return this.#free.splice(0, count);
  }

  #begin({ sequence, position, token, state }: Place<GpuSequence>, slot: number, attended: Region | undefined): GpuRow {
    const start = state === undefined ? START.zero : START.given;
    const attendedAt = attended === undefined ? NONE : attended.offset / 4;
    this.describe(slot, rowPacker, { position, token, iteration: 0, start, ...sequence.rowFields, attended_at: attendedAt });
    if (state !== undefined) this.#device.write(this.#shared.get("states"), this.stateOffset(slot, this.#states.state), state);
    if (attended !== undefined) this.#device.write(this.#attended.buffer, attended.offset, new Float32Array(position + 1));
    return new GpuRow(sequence, position, token, slot, attended);
  }

  /** Room for attention weights of the rows that keep them, for all or none. */
  #takeAttended(places: readonly Place<GpuSequence>[]): (Region | undefined)[] {
    const taken: (Region | undefined)[] = [];
    for (const { sequence, position } of places)
      taken.push(
        sequence.options.attention === true
          ? undoing(
              () => this.#attended.allocate(4 * (position + 1)),
              () => this.#freeAttended(taken),
            )
          : undefined,
      );
    return taken;
  }

  #freeAttended(regions: readonly (Region | undefined)[]): void {
    for (const region of regions) if (region !== undefined) this.#attended.free(region);
  }

  /** Room for a call of so many rows. @throws {FathomError} out_of_memory */
  ensureCall(rows: number): void {
    if (rows <= this.#callRows) return;
    const size = Math.min(this.maxRows, Math.max(rows, 2 * this.#callRows));
    this.#replace("scratch", 4 * this.#scratch.stride * size, "scratch of rows");
    for (const list of LISTS) this.#replace(list, 4 * (1 + size), "list of rows");
    this.#callRows = size;
  }

  /** @throws {FathomError} out_of_memory */
  ensureResults(bytes: number): void {
    if (bytes <= this.#resultBytes) return;
    const larger = Math.max(bytes, Math.min(2 * this.#resultBytes, this.#device.largestBuffer));
    this.#replace("results", larger, "results of a call");
    this.#resultBytes = larger;
  }

  /** Names the rows of the next dispatches. */
  list(name: ListName, slots: readonly number[]): void {
    this.#device.write(this.#shared.get(name), 0, Uint32Array.of(slots.length, ...slots));
  }

  /** Writes fields of a row's entry in the row table. */
  describe<Name extends string>(slot: number, packer: FieldPacker<Name>, fields: Readonly<Record<Name, number>>): void {
    this.#device.write(this.#shared.get("rows"), slot * ROW.size + packer.offset, packer.pack(fields));
  }

  stateOffset(slot: number, element: number): number {
    return 4 * (slot * this.#states.stride + element);
  }

  #growSlots(count: number): void {
    const { stride } = this.#states;
    const old = this.#slots;
    this.#device.ensureRoom(4 * stride * count, "states of rows");
    this.#replace("states", 4 * stride * count, "states of rows", 4 * stride * old);
    this.#replace("rows", ROW.size * count, "table of rows", ROW.size * old);
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

export function slotsOf(rows: readonly GpuRow[]): number[] {
  return rows.map((row) => row.slot);
}
