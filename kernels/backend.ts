/**
 * The WebGPU backend: the port over a GPUDevice that the host hands in. Calls record a fixed list of dispatches; only
 * `measure`, `readout` and `latent` wait for the device. Tokens made wholly on the device: decode.ts.
 */
/// <reference types="@webgpu/types" />
import type {
  Backend,
  BranchOptions,
  Inspectable,
  LatentState,
  MaybePromise,
  MemoryLedger,
  Row,
  RowInput,
  Sequence,
  SequenceOptions,
  StateChange,
} from "../engine/port/backend.ts";
import type { ChainOptions, MadeToken, TokenChain } from "../engine/port/chain.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { checkLookup } from "../engine/port/cached-sequence.ts";
import { checkSequenceOptions, checkVector, noHead } from "../engine/port/checks.ts";
import { logitsOf, normalised, pressureOf } from "../engine/port/measure.ts";
import { OpenSequences } from "../engine/port/sequences.ts";
import { Arena, FIRST_BYTES } from "./arena.ts";
import { cacheName, entryRanges, type CacheLayout } from "./cache-layout.ts";
import { recordRuns, type Context, type Run } from "./context.ts";
import { Chain, decidesOnDevice, makeTokens } from "./decode.ts";
import type { Device, DeviceActivity } from "./device.ts";
import type { StateLayout } from "./layout.ts";
import { RowPool, slotsOf, type GpuRow } from "./pool.ts";
import { SharedBuffers, type FusedCore } from "./program.ts";
import type { Layouts, Programs } from "./programs.ts";
import { GpuSequence, reserve, sequenceBytes } from "./sequence.ts";
import { fasterCore } from "./fused-core.ts";
import type { GpuModel } from "./weights.ts";

/** The port on a GPU device. Made by the factory of `createWebGpuBackend`. */
export class WebGpuBackend implements Backend, Inspectable {
  readonly name = "webgpu";
  readonly config: ModelConfig;
  readonly exitGate: Backend["exitGate"];
  readonly #context: Context;
  readonly #device: Device;
  readonly #model: GpuModel;
  readonly #programs: Programs;
  readonly #states: StateLayout;
  readonly #cacheLayout: CacheLayout;
  readonly #shared = new SharedBuffers();
  readonly #pool: RowPool;
  readonly #cache: Arena;
  readonly #steps: Arena;
  readonly #sequences = new OpenSequences<GpuSequence, GpuRow>(this);
  /** Rows that chains have taken over, until their sequences close. */
  readonly #chained = new Map<GpuSequence, readonly GpuRow[]>();
  readonly #isTimed: boolean;
  #fusedCore: Promise<FusedCore> | undefined;

  constructor(
    config: ModelConfig,
    device: Device,
    model: GpuModel,
    programs: Programs,
    { scratch, states, cache }: Layouts,
    isTimed: boolean,
  ) {
    this.config = config;
    this.exitGate = model.exitGate;
    this.#isTimed = isTimed;
    this.#device = device;
    this.#model = model;
    this.#programs = programs;
    this.#states = states;
    this.#cacheLayout = cache;
    this.#pool = new RowPool(device, this.#shared, scratch, states, config.vocabSize);
    const setCache = (buffer: GPUBuffer, part: number): void => this.#shared.set(cacheName(part), buffer);
    this.#cache = new Arena(device, "kv cache", "KV cache", FIRST_BYTES, setCache, cache.parts);
    this.#steps = new Arena(device, "kv cache", "steps of positions", FIRST_BYTES, (buffer) => this.#shared.set("steps", buffer));
    this.#context = { config, device, shared: this.#shared, pool: this.#pool, steps: this.#steps, programs, states };
  }

  get maxRows(): number {
    return this.#pool.maxRows;
  }

  /** Dispatches, submits and read-backs so far. */
  get activity(): Readonly<DeviceActivity> {
    return this.#device.activity;
  }

  sequenceBytes(options: SequenceOptions): number {
    const { cachePart, steps } = sequenceBytes(options, this.config, this.#cacheLayout);
    return cachePart * this.#cacheLayout.parts + steps;
  }

  openSequence(options: SequenceOptions): Sequence {
    checkSequenceOptions(options, this.config);
    return this.#open(options);
  }

  branch(parent: Sequence, options: BranchOptions): Sequence {
    const { parent: own, options: all } = this.#sequences.branchable(parent, options);
    const branch = this.#open(all, own);
    this.#device.write(this.#shared.get("steps"), own.stretchOffset, own.packStretch());
    return branch;
  }

  #open(options: SequenceOptions, parent?: GpuSequence): Sequence {
    this.#device.check();
    const regions = reserve(options, this.config, this.#cacheLayout, this.#cache, this.#steps);
    this.#device.submit((encoder) => encoder.clearBuffer(this.#shared.get("steps"), regions.steps.offset, regions.steps.bytes));
    return this.#sequences.add(new GpuSequence(options, this.config, this.#cacheLayout, regions, parent));
  }

  closeSequence(sequence: Sequence): void {
    const closed = this.#sequences.close(sequence);
    if (closed === undefined) return;
    const { rows, sequence: own } = closed;
    this.#pool.give([...rows, ...(this.#chained.get(own) ?? [])]);
    this.#chained.delete(own);
    own.isClosed = true;
    this.#cache.free(own.cache);
    this.#steps.free(own.steps);
  }

  truncate(sequence: Sequence, length: number): void {
    const own = this.#sequences.cuttable(sequence, length);
    if (length >= own.length) return;
    own.truncate(length);
    this.#device.write(this.#shared.get("steps"), own.wordOffset(length), new Uint32Array(own.end - length));
  }

  prelude(inputs: readonly RowInput[]): Row[] {
    const places = this.#sequences.place(inputs);
    if (places.length === 0) return [];
    this.#device.check();
    this.#pool.ensureCall(places.length);
    const rows = this.#pool.take(places);
    for (const { sequence } of places) sequence.length++;
    this.#sequences.enter(rows);
    this.#pool.list("call", slotsOf(rows));
    this.#run([this.#programs.prelude, rows.length]);
    return rows;
  }

  iterate(rows: readonly Row[]): void {
    const own = this.#sequences.iterable(rows);
    if (own.length === 0) return;
    checkLookup(own, this.config);
    this.#device.check();
    this.#pool.ensureCall(own.length);
    for (const { sequence, position, iterations } of own) sequence.noteWritten("core", this.config.coreLayers - 1, position, iterations);
    this.#pool.list("core", slotsOf(own));
    const { iteration, watchedIteration } = this.#programs;
    this.#run([own.some((row) => row.attended !== undefined) ? watchedIteration : iteration, own.length]);
    for (const row of own) row.iterations++;
  }

  async measure(rows: readonly Row[]): Promise<StateChange[]> {
    const own = this.#sequences.rows(rows);
    if (own.length === 0) return [];
    this.#pool.ensureCall(own.length);
    this.#pool.ensureResults(16 * own.length);
    this.#pool.list("core", slotsOf(own));
    const all = await this.#results(4 * own.length, [this.#programs.measure, own.length]);
    return own.map((_, i) => ({ distance: all[4 * i]!, norm: all[4 * i + 1]!, previousNorm: all[4 * i + 2]!, dot: all[4 * i + 3]! }));
  }

  async pressure(rows: readonly Row[], moved: Float32Array): Promise<Float32Array> {
    return pressureOf(await this.#readAttention(this.#sequences.watched(rows, moved)), moved);
  }

  async readout(rows: readonly Row[], heads: readonly Row[], tokens?: readonly number[]): Promise<Float32Array[]> {
    const own = this.#sequences.readable(rows, heads, tokens);
    if (own.rows.length === 0) return [];
    const only = tokens?.slice();
    const { vocabSize, codaLayers } = this.config;
    this.#device.check();
    this.#pool.ensureCall(own.rows.length);
    this.#pool.ensureResults(4 * vocabSize * own.heads.length);
    for (const row of own.rows) {
      row.isHead = false;
      if (codaLayers > 0) row.sequence.noteWritten("coda", codaLayers - 1, row.position, row.iterations);
    }
    for (const row of own.heads) row.isHead = true;
    this.#pool.list("call", slotsOf(own.rows));
    this.#pool.list("heads", slotsOf(own.heads));
    const all = await this.#results(
      vocabSize * own.heads.length,
      [this.#programs.coda, own.rows.length],
      [this.#programs.head, own.heads.length],
    );
    return own.heads.map((_, i) => logitsOf(all.slice(i * vocabSize, (i + 1) * vocabSize), only));
  }

  async latent(row: Row, form: "raw" | "normalised"): Promise<LatentState> {
    const state = await this.#readState(row, this.#states.state);
    if (form === "raw" || !this.config.recurrence.finalNorm.includes("coda")) return state;
    return normalised(state, this.#model.hostFinalNorm, this.config.normEps);
  }

  openChain(options: ChainOptions): Chain | undefined {
    const row = this.#row(options.row);
    this.#sequences.extendable(row.sequence);
    if (!decidesOnDevice(options.exit)) return undefined;
    const chain = new Chain(this.#context, row, options);
    this.#sequences.leave([row]);
    this.#chained.set(row.sequence, [...(this.#chained.get(row.sequence) ?? []), row]);
    return chain;
  }

  /** One submit and one read-back, however many chains, tokens and iterations. */
  makeTokens(chains: readonly TokenChain[], limits: readonly (readonly number[])[]): Promise<MadeToken[][]> {
    return this.makeTokensBy((this.#fusedCore ??= this.#chooseCore()), chains, limits);
  }

  /** `makeTokens`, running the core in a given way. */
  async makeTokensBy(
    core: MaybePromise<FusedCore>,
    chains: readonly TokenChain[],
    limits: readonly (readonly number[])[],
  ): Promise<MadeToken[][]> {
    for (const { sequence } of chains) this.#sequences.own(sequence);
    return makeTokens(this.#context, chains as readonly Chain[], limits, core);
  }

  async #chooseCore(): Promise<FusedCore> {
    const fused = await this.#programs.fusedCore?.catch(() => undefined); // a device may find it too large
    if (fused === undefined || !this.#isTimed) return fused;
    return fasterCore(this, fused).catch(() => undefined); // a device that fails will do so again
  }

  release(rows: readonly Row[]): void {
    this.#pool.give(this.#sequences.leave(rows));
  }

  memory(): MemoryLedger {
    return this.#device.memory();
  }

  async attention(rows: readonly Row[]): Promise<Float32Array[]> {
    return this.#readAttention(this.#sequences.watched(rows));
  }

  embedded(row: Row): Promise<Float32Array> {
    return this.#readState(row, this.#states.embedded);
  }

  setEmbedded(row: Row, embedded: Float32Array): void {
    checkVector(embedded, this.config, "An embedding", "embedded");
    this.#device.write(this.#shared.get("states"), this.#pool.stateOffset(this.#row(row).slot, this.#states.embedded), embedded);
  }

  async headInput(row: Row): Promise<Float32Array> {
    if (!this.#row(row).isHead) throw noHead(row);
    return this.#readState(row, this.#states.headInput);
  }

  async cached(sequence: Sequence, slot: number, position: number): Promise<{ key: Float32Array; value: Float32Array }> {
    const own = this.#sequences.own(sequence);
    const found = own.find(slot, position);
    const offset = own.entryOffset(found.stage, found.slot, position);
    const ranges = entryRanges(this.#cacheLayout, this.config, offset, (part) => this.#shared.get(cacheName(part)));
    const entry = new Float32Array(await this.#device.read(ranges));
    return { key: entry.slice(0, entry.length / 2), value: entry.slice(entry.length / 2) };
  }

  cachedSlots(sequence: Sequence): number[] {
    return this.#sequences.own(sequence).publicSlots;
  }

  #row(row: Row): GpuRow {
    return this.#sequences.rows([row])[0]!;
  }

  async #readAttention(rows: readonly GpuRow[]): Promise<Float32Array[]> {
    const buffer = this.#shared.get("attended");
    const ranges = rows.map(({ attended, position }) => ({ buffer, offset: attended!.offset, bytes: 4 * (position + 1) }));
    if (ranges.length === 0) return [];
    const all = new Float32Array(await this.#device.read(ranges));
    let at = 0;
    return rows.map(({ position }) => all.slice(at, (at += position + 1)));
  }

  /** Runs programs, each over so many rows of its list. */
  #run(...programs: readonly Run[]): void {
    this.#device.submit((encoder) => recordRuns(this.#context, encoder, programs));
  }

  /** Runs programs and reads the first `elements` of what they leave in `results`, f32. */
  async #results(elements: number, ...programs: readonly Run[]): Promise<Float32Array> {
    const range = { buffer: this.#shared.get("results"), offset: 0, bytes: Math.max(4, 4 * elements) };
    return new Float32Array(await this.#device.read([range], (encoder) => recordRuns(this.#context, encoder, programs)));
  }

  async #readState(row: Row, element: number): Promise<Float32Array> {
    const range = { buffer: this.#shared.get("states"), offset: this.#pool.stateOffset(this.#row(row).slot, element) };
    return new Float32Array(await this.#device.read([{ ...range, bytes: 4 * this.config.width }]));
  }
}
