/**
 * The WebGPU backend: the port over a GPUDevice that the host hands in. Calls record a fixed list of dispatches; only
 * `measure`, `readout` and `latent` wait for the device. Tokens made wholly on the device: decode.ts.
 */
/// <reference types="@webgpu/types" />
import type {
  Backend,
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
import { FathomError } from "../engine/errors.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { Arena } from "./arena.ts";
import type { Device, DeviceActivity } from "./device.ts";
import { recordRuns, type Context, type Run } from "./context.ts";
import { Chain, decidesOnDevice, makeTokens } from "./decode.ts";
import type { ScratchLayout, StateLayout } from "./layout.ts";
import { GpuRow, NONE, ROW_WORDS, RowPool, START } from "./pool.ts";
import { SharedBuffers } from "./program.ts";
import type { Programs } from "./programs.ts";
import { entryElements, GpuSequence, sequenceBytes } from "./sequence.ts";
import { fasterThought, type WholeThought } from "./thought.ts";
import type { GpuModel } from "./weights.ts";

/** What growing buffers begin with: room for the logs of a chunk, and for the words of a context or two. */
const FIRST_BYTES = 1 << 16;

export class WebGpuBackend implements Backend, Inspectable {
  readonly name = "webgpu";
  readonly config: ModelConfig;
  readonly #context: Context;
  readonly #device: Device;
  readonly #model: GpuModel;
  readonly #programs: Programs;
  readonly #states: StateLayout;
  readonly #shared = new SharedBuffers();
  readonly #pool: RowPool;
  readonly #cache: Arena;
  readonly #steps: Arena;
  readonly #attended: Arena;
  /** Rows in flight of every open sequence. */
  readonly #open = new Map<GpuSequence, Set<GpuRow>>();
  readonly #isTimed: boolean;
  #thought: Promise<WholeThought> | undefined;
  #opened = 0;

  constructor(
    config: ModelConfig,
    device: Device,
    model: GpuModel,
    programs: Programs,
    { scratch, states }: { readonly scratch: ScratchLayout; readonly states: StateLayout },
    isTimed: boolean,
  ) {
    this.config = config;
    this.#isTimed = isTimed;
    this.#device = device;
    this.#model = model;
    this.#programs = programs;
    this.#states = states;
    this.#pool = new RowPool(device, this.#shared, scratch, states);
    this.#cache = new Arena(device, "kv cache", "KV cache", FIRST_BYTES, (buffer) => this.#shared.set("cache", buffer));
    this.#attended = new Arena(device, "rows", "attention weights", FIRST_BYTES, (buffer) => this.#shared.set("attended", buffer));
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
    const bytes = sequenceBytes(options, this.config);
    return bytes.cache + bytes.steps;
  }

  openSequence(options: SequenceOptions): Sequence {
    this.#device.check();
    checkOptions(options, this.config);
    const bytes = sequenceBytes(options, this.config);
    const cache = this.#cache.allocate(bytes.cache);
    const steps = this.#steps.allocate(bytes.steps);
    this.#device.submit((encoder) => encoder.clearBuffer(this.#shared.get("steps"), steps.offset, steps.bytes));
    const sequence = new GpuSequence(options, this.config, cache, steps, ++this.#opened);
    this.#open.set(sequence, new Set());
    return sequence;
  }

  closeSequence(sequence: Sequence): void {
    const own = sequence as GpuSequence;
    const rows = this.#open.get(own);
    if (rows === undefined) return;
    this.release([...rows]);
    own.isClosed = true;
    this.#open.delete(own);
    this.#cache.free(own.cache);
    this.#steps.free(own.steps);
  }

  truncate(sequence: Sequence, length: number): void {
    const own = sequence as GpuSequence;
    if (!own.truncate(length)) return;
    const zeros = new Uint32Array(own.options.capacity - length);
    this.#device.write(this.#shared.get("steps"), own.steps.offset + 4 * length, zeros);
  }

  prelude(inputs: readonly RowInput[]): Row[] {
    this.#checkInputs(inputs);
    this.#pool.ensureCall(inputs.length);
    const slots = this.#pool.take(inputs.length);
    const rows = inputs.map(({ sequence, token, state }, i) => {
      const own = sequence as GpuSequence;
      const attended = own.options.attention === true ? this.#attended.allocate(4 * (own.length + 1)) : undefined;
      const row = new GpuRow(own, own.length++, token, slots[i]!, attended);
      this.#open.get(own)!.add(row);
      const words = new Uint32Array(ROW_WORDS);
      words.set([
        row.position,
        token,
        0,
        state === undefined ? START.zero : START.given,
        ...own.rowFields,
        attended === undefined ? NONE : attended.offset / 4,
      ]);
      this.#pool.describe(row.slot, words);
      if (state !== undefined) this.#device.write(this.#shared.get("states"), this.#pool.stateOffset(row.slot, this.#states.state), state);
      return row;
    });
    this.#pool.list("turn", slots);
    this.#run([this.#programs.prelude, rows.length]);
    return rows;
  }

  iterate(rows: readonly Row[]): void {
    const own = rows as readonly GpuRow[];
    this.#noteIteration(own);
    this.#pool.ensureCall(own.length);
    this.#pool.list("core", slotsOf(own));
    const isWatched = own.some((row) => row.attended !== undefined);
    this.#run([isWatched ? this.#programs.watchedIteration : this.#programs.iteration, own.length]);
    for (const row of own) row.iterations++;
  }

  async measure(rows: readonly Row[]): Promise<StateChange[]> {
    this.#pool.ensureCall(rows.length);
    this.#pool.ensureResults(16 * rows.length);
    this.#pool.list("core", slotsOf(rows as readonly GpuRow[]));
    const all = await this.#results(4 * rows.length, [this.#programs.measure, rows.length]);
    return rows.map((_, i) => ({ distance: all[4 * i]!, norm: all[4 * i + 1]!, previousNorm: all[4 * i + 2]!, dot: all[4 * i + 3]! }));
  }

  async pressure(rows: readonly Row[], moved: Float32Array): Promise<Float32Array> {
    const all = await this.attention(rows);
    return Float32Array.from(all, (weights) => weights.reduce((sum, weight, p) => sum + weight * moved[p]!, 0));
  }

  async readout(rows: readonly Row[], heads: readonly Row[]): Promise<Float32Array[]> {
    const own = rows as readonly GpuRow[];
    const { vocabSize, codaLayers } = this.config;
    this.#pool.ensureCall(own.length);
    this.#pool.ensureResults(4 * vocabSize * heads.length);
    if (codaLayers > 0) for (const row of own) row.sequence.noteCoda(row.position);
    this.#pool.list("turn", slotsOf(own));
    this.#pool.list("heads", slotsOf(heads as readonly GpuRow[]));
    const all = await this.#results(vocabSize * heads.length, [this.#programs.coda, own.length], [this.#programs.head, heads.length]);
    return heads.map((_, i) => all.slice(i * vocabSize, (i + 1) * vocabSize));
  }

  async latent(row: Row, form: "raw" | "normalised"): Promise<LatentState> {
    const state = await this.#readState(row as GpuRow, this.#states.state);
    if (form === "raw" || !this.config.block.normAfterCore) return state;
    let squares = 0;
    for (const v of state) squares += v * v;
    const factor = 1 / Math.sqrt(squares / state.length + this.config.normEps);
    return state.map((v, i) => Math.fround(v * factor) * this.#model.finalNorm[i]!);
  }

  openChain(options: ChainOptions): Chain | undefined {
    return decidesOnDevice(options.exit.criterion) ? new Chain(this.#context, options) : undefined;
  }

  /** One submit and one read-back, however many chains, tokens and iterations. */
  makeTokens(chains: readonly TokenChain[], limits: readonly (readonly number[])[]): Promise<MadeToken[][]> {
    return this.makeTokensBy((this.#thought ??= this.#chooseThought()), chains, limits);
  }

  /** `makeTokens`, thinking in a given way. */
  makeTokensBy(
    thought: MaybePromise<WholeThought>,
    chains: readonly TokenChain[],
    limits: readonly (readonly number[])[],
  ): Promise<MadeToken[][]> {
    return makeTokens(this.#context, chains as readonly Chain[], limits, thought);
  }

  async #chooseThought(): Promise<WholeThought> {
    const whole = await this.#programs.wholeThought?.catch(() => undefined); // a device may find it too large
    if (whole === undefined || !this.#isTimed) return whole;
    return fasterThought(this, whole).catch(() => undefined); // a device that fails will do so again
  }

  release(rows: readonly Row[]): void {
    const own = (rows as readonly GpuRow[]).filter((row) => !row.released);
    for (const row of own) {
      row.released = true;
      this.#open.get(row.sequence)?.delete(row);
      if (row.attended !== undefined) this.#attended.free(row.attended);
    }
    this.#pool.give(slotsOf(own));
  }

  memory(): MemoryLedger {
    return this.#device.memory();
  }

  async attention(rows: readonly Row[]): Promise<Float32Array[]> {
    const own = rows as readonly GpuRow[];
    const buffer = this.#shared.get("attended");
    const ranges = own.map(({ attended, position }) => ({ buffer, offset: attended!.offset, bytes: 4 * (position + 1) }));
    const all = new Float32Array(await this.#device.read(ranges));
    let at = 0;
    return own.map(({ position }) => all.slice(at, (at += position + 1)));
  }

  embedded(row: Row): Promise<Float32Array> {
    return this.#readState(row as GpuRow, this.#states.embedded);
  }

  setEmbedded(row: Row, embedded: Float32Array): void {
    this.#device.write(this.#shared.get("states"), this.#pool.stateOffset((row as GpuRow).slot, this.#states.embedded), embedded);
  }

  headInput(row: Row): Promise<Float32Array> {
    return this.#readState(row as GpuRow, this.#states.headInput);
  }

  async cached(sequence: Sequence, slot: number, position: number): Promise<{ key: Float32Array; value: Float32Array }> {
    const elements = entryElements(this.config);
    const offset = (sequence as GpuSequence).entryOffset(slot, position);
    const entry = new Float32Array(await this.#device.read([{ buffer: this.#shared.get("cache"), offset, bytes: 4 * elements }]));
    return { key: entry.slice(0, elements / 2), value: entry.slice(elements / 2) };
  }

  cachedSlots(sequence: Sequence): number[] {
    return (sequence as GpuSequence).slots;
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

  /** Before anything changes. @throws {FathomError} token_out_of_range, context_overflow */
  #checkInputs(inputs: readonly RowInput[]): void {
    const { vocabSize } = this.config;
    const wanted = new Map<Sequence, number>();
    for (const { sequence, token } of inputs) {
      if (!Number.isInteger(token) || token < 0 || token >= vocabSize)
        throw new FathomError("token_out_of_range", `Token ${token} is outside the vocabulary of ${vocabSize}.`, "token");
      wanted.set(sequence, (wanted.get(sequence) ?? 0) + 1);
    }
    for (const [{ length, options }, count] of wanted)
      if (length + count > options.capacity)
        throw new FathomError("context_overflow", `The sequence was opened for ${options.capacity} positions; all are taken.`);
  }

  /** Mirrors what the rows are about to write, layer by layer. @throws {FathomError} invalid_request, missing_cache */
  #noteIteration(rows: readonly GpuRow[]): void {
    for (const { sequence, iterations } of rows) sequence.requireRoom(iterations + 1);
    for (let layer = 0; layer < this.config.coreLayers; layer++) {
      for (const { sequence, position, iterations } of rows) sequence.noteStep(position, iterations, layer);
      for (const { sequence, position, iterations } of rows)
        if (sequence.options.cache.lookup === "strict") sequence.requireComplete(position, iterations, layer);
    }
  }

  async #readState(row: GpuRow, element: number): Promise<Float32Array> {
    const offset = this.#pool.stateOffset(row.slot, element);
    return new Float32Array(await this.#device.read([{ buffer: this.#shared.get("states"), offset, bytes: 4 * this.config.width }]));
  }
}

function slotsOf(rows: readonly GpuRow[]): number[] {
  return rows.map((row) => row.slot);
}

/** @throws {FathomError} invalid_request, context_overflow */
function checkOptions({ capacity, maxIterations }: SequenceOptions, { contextLength }: ModelConfig): void {
  if (!Number.isInteger(capacity) || capacity < 1 || !Number.isInteger(maxIterations) || maxIterations < 0)
    throw new FathomError(
      "invalid_request",
      `A sequence needs a whole capacity of at least 1 and whole iterations, not ${capacity} and ${maxIterations}.`,
    );
  if (capacity > contextLength)
    throw new FathomError("context_overflow", `A sequence of ${capacity} positions does not fit the model's context of ${contextLength}.`);
}
