/**
 * The Wasm backend: the model over SIMD kernels in one linear memory. It decides what is computed in which order; the
 * arithmetic is in wasm/assembly, the bytes in arena.ts, the cache in sequence.ts.
 */
import type {
  Backend,
  Inspectable,
  LatentState,
  MemoryLedger,
  Row,
  RowInput,
  Sequence,
  SequenceOptions,
  StateChange,
} from "../engine/port/backend.ts";
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { requireFinite } from "../engine/finite.ts";
import type { SignalWord } from "../engine/cpu-signal.ts";
import { FathomError } from "../engine/errors.ts";
import type { WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { checkOptions } from "../engine/options.ts";
import { rotaryWriter, type RotaryWriter } from "../engine/model/rotary.ts";
import { Arena, type Owner } from "./arena.ts";
import { BlockRunner, forChunks } from "./blocks.ts";
import { cpuSignalOf } from "./cpu-signal.ts";
import { readEntry, writtenCacheSlots } from "./inspect.ts";
import { bindKernels, type BoundsChecks, type DotPath, type Kernels } from "./kernels.ts";
import { hostLimitBytes } from "./limits.ts";
import { Observer } from "./observe.ts";
import { wasmBackendOptions } from "./options.ts";
import { Readout } from "./readout.ts";
import { rowBytes, rowLayout, RowTable, type Place, type RowLayout, type WasmRow } from "./rows.ts";
import {
  cacheBytes,
  entryLayout,
  LARGEST_INT8_HEAD,
  WasmSequence,
  type EntryLayout,
  type KvFormat,
  type SequenceRegions,
} from "./sequence.ts";
import { warmUp } from "./warm-up.ts";
import { loadWeights, type WasmModel } from "./weights.ts";
import { CHUNK_ROWS, Workspace } from "./workspace.ts";

export interface WasmBackendOptions {
  /** relaxed.wasm where `supportsRelaxedSimd()`, else simd.wasm. */
  readonly module: WebAssembly.Module;
  readonly config: ModelConfig;
  /** Streams the checkpoint into the sink it is given (see `readCheckpoint`). */
  readonly load: (sink: WeightSink) => Promise<void>;
  /**
   * Most bytes that Wasm memory may ever take, weights and all requests together. [default 96 MiB on Workers, of an
   * isolate's 128; elsewhere up to 4 GiB, as far as the machine has them, see `hostLimitBytes`]
   */
  readonly limitBytes?: number;
  /**
   * How keys and values are kept. [default "int8" where the model's own matrices are quantised, else "f32"] With int8 the
   * shipped model gives the same 2450 answers of 2450 as with f32, at r = 32 with its exit rule; a quarter of the bytes.
   */
  readonly kv?: KvFormat;
  /** How dot products are made. [default the host's best] */
  readonly path?: DotPath;
  /** How the host checks memory accesses; only speed depends on it. Give "code" in Workers. [default "pages"] */
  readonly bounds?: BoundsChecks;
  /** Runs every kernel until the engine has optimised it, some milliseconds. [default true] */
  readonly warm?: boolean;
}

/**
 * Loads a model into the Wasm backend.
 * @throws {TypeError} naming the option that is wrong
 * @throws {FathomError} out_of_memory, unavailable, and whatever `load` finds wrong with the checkpoint
 * @example
 * const backend = await createWasmBackend({ module, config, load: (sink) => readWeights(folder, config, sink) });
 */
export async function createWasmBackend(options: WasmBackendOptions): Promise<WasmBackend> {
  const checked = checkOptions("createWasmBackend", wasmBackendOptions, options);
  const { config, limitBytes = hostLimitBytes(), warm = true } = checked;
  const arena = new Arena(limitBytes);
  const kernels = bindKernels(checked.module, arena, checked.path, checked.bounds);
  const { sink, finish } = loadWeights(config, arena);
  await checked.load(sink);
  const model = finish();
  const backend = new WasmBackend(config, arena, kernels, model, checked.kv ?? defaultKv(config, model));
  requireRoom(backend);
  if (warm) warmUp(backend);
  return backend;
}

/** Positions of the shortest request worth serving. */
const SHORTEST_REQUEST = 9;

/** A model beside which no request has room is of no use. @throws {FathomError} out_of_memory */
function requireRoom(backend: WasmBackend): void {
  const capacity = Math.min(SHORTEST_REQUEST, backend.config.contextLength);
  const options = { capacity, maxIterations: 1, cache: parseCacheStrategy("full"), attention: true };
  const { usedBytes, limitBytes } = backend.memory();
  if (usedBytes + backend.sequenceBytes(options) <= limitBytes) return;
  throw new FathomError(
    "out_of_memory",
    `The model takes ${usedBytes} of ${limitBytes} bytes, which leaves no room for a request. ` +
      "Raise the limit, or use a model of fewer weights or a smaller quantisation.",
  );
}

function defaultKv(config: ModelConfig, { core }: WasmModel): KvFormat {
  return core[0]!.qkv.format !== "f32" && config.headDim <= LARGEST_INT8_HEAD ? "int8" : "f32";
}

export class WasmBackend implements Backend, Inspectable {
  readonly name = "wasm";
  readonly maxRows = Infinity;
  readonly config: ModelConfig;
  readonly arena: Arena;
  readonly kernels: Kernels;
  readonly cpuSignal: SignalWord;
  readonly #model: WasmModel;
  readonly #entry: EntryLayout;
  readonly #workspace: Workspace;
  readonly #table: RowTable;
  readonly #rowLayout: RowLayout;
  readonly #writeAngles: RotaryWriter;
  readonly #blocks: BlockRunner;
  readonly #readout: Readout;
  readonly #observer: Observer;
  readonly #open = new Set<Sequence>();

  constructor(config: ModelConfig, arena: Arena, kernels: Kernels, model: WasmModel, kv: KvFormat) {
    this.config = config;
    this.arena = arena;
    this.kernels = kernels;
    this.cpuSignal = cpuSignalOf(arena, kernels);
    this.#model = model;
    this.#entry = entryLayout(config, kv);
    this.#workspace = new Workspace(arena, kernels, model);
    this.#table = new RowTable(arena, CHUNK_ROWS);
    this.#rowLayout = rowLayout(config);
    this.#writeAngles = rotaryWriter(config);
    this.#blocks = new BlockRunner(config, arena, kernels, this.#workspace, this.#table, this.#entry);
    this.#readout = new Readout(config, kernels, model, this.#workspace, this.#table, this.#blocks);
    this.#observer = new Observer(config, arena, kernels, this.#workspace, this.#table, this.#rowLayout);
  }

  sequenceBytes(options: SequenceOptions): number {
    return Object.values(this.#bytesOf(options)).reduce((sum, bytes) => sum + Arena.sizeOf(bytes), 0);
  }

  openSequence(options: SequenceOptions): Sequence {
    const { capacity, maxIterations, rows = capacity, prompt = 0 } = options;
    const { contextLength } = this.config;
    if (!Number.isInteger(capacity) || capacity < 1 || !Number.isInteger(maxIterations) || maxIterations < 0)
      throw new FathomError(
        "invalid_request",
        `A sequence needs a whole capacity of at least 1 and whole iterations, not ${capacity} and ${maxIterations}.`,
      );
    if (capacity > contextLength)
      throw new FathomError(
        "context_overflow",
        `A sequence of ${capacity} positions does not fit the model's context of ${contextLength}.`,
      );
    if (!Number.isInteger(rows) || rows < 1 || rows > capacity)
      throw new FathomError(
        "invalid_request",
        `A sequence of ${capacity} positions has from 1 to ${capacity} rows in flight, not ${rows}.`,
        "rows",
      );
    if (!Number.isInteger(prompt) || prompt < 0 || prompt > capacity)
      throw new FathomError("invalid_request", `A sequence of ${capacity} positions has no prompt of ${prompt}.`, "prompt");
    const sequence = new WasmSequence(options, this.config, this.#entry, this.#rowLayout, this.#reserve(options), this.arena);
    this.#open.add(sequence);
    return sequence;
  }

  #bytesOf(options: SequenceOptions): { cache: number; rows: number; prompt: number } {
    return { cache: cacheBytes(options, this.config, this.#entry), ...rowBytes(this.#rowLayout, options) };
  }

  /** All that a sequence will ever need, or nothing. @throws {FathomError} out_of_memory */
  #reserve(options: SequenceOptions): SequenceRegions {
    const { capacity, maxIterations } = options;
    const bytes = this.#bytesOf(options);
    const wanted: [Owner, number][] = [
      ["kv cache", bytes.cache],
      ["rows", bytes.rows],
    ];
    if (bytes.prompt > 0) wanted.push(["rows", bytes.prompt]);
    const [cache, rows, prompt] = this.arena.allocateAll(
      wanted,
      `a sequence of ${capacity} positions and up to ${maxIterations} iterations`,
    );
    return { cache: cache!, rows: rows!, prompt };
  }

  closeSequence(sequence: Sequence): void {
    if (!this.#open.delete(sequence)) return;
    const { slots, cache } = sequence as WasmSequence;
    slots.close();
    this.arena.free(cache);
  }

  truncate(sequence: Sequence, length: number): void {
    this.#sequence(sequence).truncate(length);
  }

  prelude(inputs: readonly RowInput[]): Row[] {
    const places = this.#place(inputs);
    const { floats } = this.arena;
    const { width, headDim } = this.config;
    const rows = places.map((place, i) => {
      const row = place.sequence.slots.take(place);
      place.sequence.length++;
      const angles = row.angles / 4;
      this.#writeAngles(row.position, floats, angles, floats, angles + headDim / 2);
      this.#embed(row.token, row.embedded);
      const state = inputs[i]!.state;
      for (const buffer of [row.state / 4, row.measured / 4])
        if (state === undefined) floats.fill(0, buffer, buffer + width);
        else floats.set(state, buffer);
      return row;
    });
    this.#model.prelude.forEach((block, layer) => this.#blocks.run(block, rows, "prelude", layer));
    return rows;
  }

  iterate(rows: readonly Row[]): void {
    const own = this.#rows(rows);
    for (const row of own)
      if (row.iterations >= row.sequence.options.maxIterations)
        throw new FathomError(
          "invalid_request",
          `The sequence was opened for ${row.sequence.options.maxIterations} iterations; position ${row.position} has run them all.`,
        );
    const { run } = this.kernels;
    const { adapter, core } = this.#model;
    const ws = this.#workspace;
    const bytes = this.config.width * 4;
    this.#observer.forget(own);
    const stateToEmbedded = -this.#rowLayout.bufferBytes;
    forChunks(own, (chunk) => {
      const table = this.#table.record(0);
      const count = chunk.length;
      this.#blocks.enter(chunk, "core");
      run.joinRows(table, count, stateToEmbedded, bytes, ws.input, ws.inputStride);
      this.#blocks.multiply(adapter, this.#blocks.prepared(adapter, count), count);
      run.scatterRows(table, count, ws.output, ws.outputStride, bytes);
    });
    core.forEach((block, layer) => this.#blocks.run(block, own, "core", layer));
    for (const row of own) row.iterations++;
  }

  measure(rows: readonly Row[]): StateChange[] {
    return this.#observer.measure(this.#rows(rows));
  }

  pressure(rows: readonly Row[], moved: Float32Array): Float32Array {
    return this.#observer.pressure(this.#watched(rows), moved);
  }

  readout(rows: readonly Row[], heads: readonly Row[]): Float32Array[] {
    const { vocabSize } = this.config;
    const logits = heads.map(() => new Float32Array(vocabSize));
    this.#readout.run(this.#rows(rows), this.#rows(heads), (head, first, count, at) =>
      logits[head]!.set(this.arena.floats.subarray(at / 4, at / 4 + count), first),
    );
    return logits;
  }

  /**
   * The token of largest logit for each head; of equals the first. Like `readout`, without the logits.
   * @throws {FathomError} not_finite, where a logit is NaN or the largest is not finite
   */
  argmax(rows: readonly Row[], heads: readonly Row[]): number[] {
    const best = heads.map((): [value: number, token: number] => [-Infinity, 0]);
    const { result } = this.#workspace;
    const { floats, words } = this.arena;
    this.#readout.run(this.#rows(rows), this.#rows(heads), (head, first, count, at) => {
      [floats[result / 4], words[result / 4 + 1]] = best[head]!;
      this.kernels.run.keepLargest(at, count, first, result);
      best[head] = [floats[result / 4]!, words[result / 4 + 1]!];
    });
    requireFinite(best.map(([value]) => value));
    return best.map(([, token]) => token);
  }

  latent(row: Row, form: "raw" | "normalised"): LatentState {
    const [own] = this.#rows([row]) as [WasmRow];
    if (form === "raw" || !this.config.block.normAfterCore) return this.#copy(own.state);
    return this.#finalNorm(own, "core");
  }

  release(rows: readonly Row[]): void {
    for (const row of rows as readonly WasmRow[]) row.sequence.slots.release(row);
  }

  memory(): MemoryLedger {
    return this.arena.ledger();
  }

  attention(rows: readonly Row[]): Float32Array[] {
    return this.#watched(rows).map(({ strongest, position }) => this.arena.floats.slice(strongest / 4, strongest / 4 + position + 1));
  }

  embedded(row: Row): Float32Array {
    return this.#copy((row as WasmRow).embedded);
  }

  setEmbedded(row: Row, embedded: Float32Array): void {
    this.arena.floats.set(embedded, (row as WasmRow).embedded / 4);
  }

  headInput(row: Row): Float32Array {
    return this.#finalNorm(row as WasmRow, "coda");
  }

  cached(sequence: Sequence, slot: number, position: number): { key: Float32Array; value: Float32Array } {
    return readEntry(this.#sequence(sequence), slot, position, this.config, this.#entry, this.arena);
  }

  cachedSlots(sequence: Sequence): number[] {
    return writtenCacheSlots(this.#sequence(sequence), this.config);
  }

  /** Checks inputs and gives them their positions; takes nothing yet. */
  #place(inputs: readonly RowInput[]): Place[] {
    const { vocabSize, width } = this.config;
    const next = new Map<WasmSequence, number>();
    const places = inputs.map(({ sequence, token, state }) => {
      const own = this.#sequence(sequence);
      const position = next.get(own) ?? own.length;
      if (position >= own.options.capacity)
        throw new FathomError("context_overflow", `The sequence was opened for ${own.options.capacity} positions; all are taken.`);
      if (!Number.isInteger(token) || token < 0 || token >= vocabSize)
        throw new FathomError("token_out_of_range", `Token ${token} is outside the vocabulary of ${vocabSize}.`, "token");
      if (state !== undefined && state.length !== width)
        throw new FathomError("invalid_request", `An initial state has ${state.length} elements; the model's width is ${width}.`, "state");
      next.set(own, position + 1);
      return { sequence: own, position, token };
    });
    for (const [own, end] of next) {
      const positions = Array.from({ length: end - own.length }, (_, i) => own.length + i);
      if (!own.slots.hasRoom(positions))
        throw new FathomError(
          "invalid_request",
          `The sequence was opened for ${own.options.rows ?? own.options.capacity} rows at once; release some first.`,
          "rows",
        );
    }
    return places;
  }

  #sequence(sequence: Sequence): WasmSequence {
    if (!this.#open.has(sequence)) throw new FathomError("invalid_request", "The sequence is closed, or belongs to another backend.");
    return sequence as WasmSequence;
  }

  #rows(rows: readonly Row[]): readonly WasmRow[] {
    for (const row of rows as readonly WasmRow[])
      if (!row.live) throw new FathomError("invalid_request", `The row at position ${row.position} has been released.`);
    return rows as readonly WasmRow[];
  }

  #watched(rows: readonly Row[]): readonly WasmRow[] {
    const own = this.#rows(rows);
    if (own.some(({ strongest }) => strongest === 0))
      throw new FathomError("invalid_request", "The sequence was not opened with `attention`.", "attention");
    return own;
  }

  #embed(token: number, out: number): void {
    const { run } = this.kernels;
    const { address, format, columns, group } = this.#model.embedding;
    const { embedScale } = this.config;
    if (format === "f32") run.embedF32(address, token, columns, embedScale, out);
    else (format === "q8" ? run.embedQ8 : run.embedQ4)(address, token, columns, group, embedScale, out);
  }

  #copy(at: number): Float32Array {
    return this.arena.floats.slice(at / 4, at / 4 + this.config.width);
  }

  #finalNorm(row: WasmRow, stage: "core" | "coda"): Float32Array {
    const { input, inputStride } = this.#workspace;
    this.#blocks.enter([row], stage);
    this.kernels.run.normRows(this.#table.record(0), 1, this.#model.finalNorm, this.config.width, this.config.normEps, input, inputStride);
    return this.#copy(input);
  }
}
