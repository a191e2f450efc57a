/**
 * The Wasm backend: the model over SIMD kernels in one linear memory. It decides what is computed in which order; the
 * arithmetic is in wasm/assembly, the bytes in arena.ts, the cache in sequence.ts.
 */
import type {
  Backend,
  BranchOptions,
  ExitGate,
  Inspectable,
  LatentState,
  MemoryLedger,
  Row,
  RowInput,
  Sequence,
  SequenceOptions,
  StateChange,
} from "../engine/port/backend.ts";
import { requireFinite } from "../engine/finite.ts";
import type { SignalWord } from "../engine/cpu-signal.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { rotaryWriter, type RotaryWriter } from "../engine/model/rotary.ts";
import { checkLookup } from "../engine/port/cached-sequence.ts";
import { checkSequenceOptions, checkVector, noHead } from "../engine/port/checks.ts";
import { OpenSequences, type Place, type ReadableRows } from "../engine/port/sequences.ts";
import type { Reclaimable } from "../engine/port/reclaimable.ts";
import { Arena, type Owner } from "./arena.ts";
import { BlockRunner } from "./blocks.ts";
import { cpuSignalOf } from "./cpu-signal.ts";
import { readEntry } from "./inspect.ts";
import { Iteration } from "./iteration.ts";
import type { Kernels } from "./kernels.ts";
import { Observer } from "./observe.ts";
import { Readout } from "./readout.ts";
import { rowBytes, rowLayout, type RowLayout } from "./row-slots.ts";
import { RowTable, type WasmRow } from "./rows.ts";
import { cacheBytes, entryLayout, WasmSequence, type EntryLayout, type KvFormat, type SequenceRegions } from "./sequence.ts";
import type { WasmModel } from "./weights.ts";
import { CHUNK_ROWS, Workspace } from "./workspace.ts";

/** The port on SIMD kernels in one linear memory. Made by `createWasmBackend`. */
export class WasmBackend implements Backend, Inspectable {
  readonly name = "wasm";
  readonly maxRows = Infinity;
  readonly config: ModelConfig;
  readonly arena: Arena;
  readonly kernels: Kernels;
  readonly cpuSignal: SignalWord;
  readonly exitGate: ExitGate | undefined;
  readonly #model: WasmModel;
  readonly #entry: EntryLayout;
  readonly #workspace: Workspace;
  readonly #table: RowTable;
  readonly #rowLayout: RowLayout;
  readonly #writeAngles: RotaryWriter;
  readonly #blocks: BlockRunner;
  readonly #iteration: Iteration;
  readonly #readout: Readout;
  readonly #observer: Observer;
  readonly #sequences = new OpenSequences<WasmSequence, WasmRow>(this);

  constructor(config: ModelConfig, arena: Arena, kernels: Kernels, model: WasmModel, kv: KvFormat) {
    this.config = config;
    this.arena = arena;
    this.kernels = kernels;
    this.cpuSignal = cpuSignalOf(arena, kernels);
    this.#model = model;
    const { gate } = model;
    this.exitGate = gate && { weight: this.#copy(gate.weight), bias: arena.floats[gate.bias / 4]! };
    this.#entry = entryLayout(config, kv);
    this.#workspace = new Workspace(config, arena, kernels, model, this.#entry);
    this.#table = new RowTable(arena, kernels.records.Row, CHUNK_ROWS);
    this.#rowLayout = rowLayout(config);
    this.#writeAngles = rotaryWriter(config);
    this.#blocks = new BlockRunner(config, arena, kernels, this.#workspace, this.#table, kv);
    this.#iteration = new Iteration(config, arena, kernels, model, this.#workspace, this.#table, this.#blocks, this.#rowLayout);
    this.#readout = new Readout(config, kernels, model, this.#workspace, this.#table, this.#blocks);
    this.#observer = new Observer(config, arena, kernels, this.#workspace, this.#table, this.#rowLayout);
  }

  sequenceBytes(options: SequenceOptions, start = 0): number {
    return Object.values(this.#bytesOf(options, start)).reduce((sum, bytes) => sum + Arena.sizeOf(bytes), 0);
  }

  openSequence(options: SequenceOptions): Sequence {
    checkSequenceOptions(options, this.config, this);
    return this.#open(options);
  }

  branch(parent: Sequence, options: BranchOptions): Sequence {
    const { parent: own, options: all } = this.#sequences.branchable(parent, options);
    return this.#open(all, own, options.from);
  }

  setAside(sequence: Sequence): void {
    const own = this.#sequences.own(sequence);
    this.arena.reassign(own.cache, "prefixes");
    own.slots.reassign("prefixes");
  }

  recall(sequence: Sequence, iterations: ArrayLike<number> | undefined): void {
    this.#sequences.recallable(sequence, iterations).recall(iterations);
  }

  #open(options: SequenceOptions, parent?: WasmSequence, from = parent?.length ?? 0): Sequence {
    const regions = this.#reserve(options, from);
    return this.#sequences.add(new WasmSequence(options, this.config, this.#entry, this.#rowLayout, regions, this.arena, parent, from));
  }

  #bytesOf(options: SequenceOptions, start: number): { cache: number; rows: number; prompt: number } {
    return { cache: cacheBytes(options, this.config, this.#entry, start), ...rowBytes(this.#rowLayout, options, start) };
  }

  /** All that a sequence will ever need, or nothing. @throws {FathomError} out_of_memory */
  #reserve(options: SequenceOptions, start: number): SequenceRegions {
    const { capacity, maxIterations } = options;
    const bytes = this.#bytesOf(options, start);
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
    const own = this.#sequences.close(sequence)?.sequence;
    if (own === undefined) return;
    own.slots.close();
    this.arena.free(own.cache);
  }

  truncate(sequence: Sequence, length: number): void {
    this.#sequences.cuttable(sequence, length).truncate(length);
  }

  prelude(inputs: readonly RowInput[]): Row[] {
    const rows = this.#sequences.place(inputs).map((place) => this.#begin(place));
    this.#sequences.enter(rows);
    this.#model.prelude.forEach((block, layer) => this.#blocks.run(block, rows, "prelude", layer));
    if (this.config.recurrence.start === "embedded") this.#iteration.start(rows.filter((_, i) => inputs[i]!.state === undefined));
    return rows;
  }

  iterate(rows: readonly Row[]): void {
    const own = this.#sequences.iterable(rows);
    checkLookup(own, this.config);
    this.#observer.forget(own);
    this.#iteration.run(own);
    for (const row of own) row.iterations++;
  }

  measure(rows: readonly Row[]): StateChange[] {
    return this.#observer.measure(this.#sequences.rows(rows));
  }

  pressure(rows: readonly Row[], moved: Float32Array): Float32Array {
    return this.#observer.pressure(this.#sequences.watched(rows, moved), moved);
  }

  readout(rows: readonly Row[], heads: readonly Row[], tokens?: readonly number[]): Float32Array[] {
    const { floats } = this.arena;
    const own = this.#toRead(rows, heads, tokens);
    if (tokens !== undefined) {
      const logits = heads.map(() => new Float32Array(tokens.length));
      this.#readout.run(own.rows, own.heads, (head, index, _, at) => (logits[head]![index] = floats[at / 4]!), tokens);
      return logits;
    }
    const logits = heads.map(() => new Float32Array(this.config.vocabSize));
    this.#readout.run(own.rows, own.heads, (head, first, count, at) => logits[head]!.set(floats.subarray(at / 4, at / 4 + count), first));
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
    const own = this.#toRead(rows, heads);
    this.#readout.run(own.rows, own.heads, (head, first, count, at) => {
      [floats[result / 4], words[result / 4 + 1]] = best[head]!;
      this.kernels.run.keepLargest(at, count, first, result);
      best[head] = [floats[result / 4]!, words[result / 4 + 1]!];
    });
    requireFinite(best.map(([value]) => value));
    return best.map(([, token]) => token);
  }

  latent(row: Row, form: "raw" | "normalised"): LatentState {
    const own = this.#row(row);
    if (form === "raw" || !this.config.recurrence.finalNorm.includes("coda")) return this.#copy(own.state);
    return this.#finalNorm(own, "core");
  }

  release(rows: readonly Row[]): void {
    for (const row of this.#sequences.leave(rows)) row.sequence.slots.release(row);
  }

  memory(): MemoryLedger {
    return this.arena.ledger();
  }

  countReclaimable(kept: Reclaimable): void {
    this.arena.count(kept);
  }

  attention(rows: readonly Row[]): Float32Array[] {
    const { floats } = this.arena;
    return this.#sequences.watched(rows).map(({ strongest, position }) => floats.slice(strongest / 4, strongest / 4 + position + 1));
  }

  embedded(row: Row): Float32Array {
    return this.#copy(this.#row(row).embedded);
  }

  setEmbedded(row: Row, embedded: Float32Array): void {
    checkVector(embedded, this.config, "An embedding", "embedded");
    this.arena.floats.set(embedded, this.#row(row).embedded / 4);
  }

  headInput(row: Row): Float32Array {
    const own = this.#row(row);
    if (!own.isHead) throw noHead(row);
    return this.config.recurrence.finalNorm.includes("head") ? this.#finalNorm(own, "coda") : this.#copy(own.work);
  }

  cached(sequence: Sequence, slot: number, position: number): { key: Float32Array; value: Float32Array } {
    return readEntry(this.#sequences.own(sequence), slot, position, this.config, this.#entry, this.arena);
  }

  cachedSlots(sequence: Sequence): number[] {
    return this.#sequences.own(sequence).publicSlots;
  }

  #row(row: Row): WasmRow {
    return this.#sequences.rows([row])[0]!;
  }

  /** A row in its slot: angles, embedding and s_0. */
  #begin({ sequence, position, token, state }: Place<WasmSequence>): WasmRow {
    const { floats } = this.arena;
    const { width, headDim } = this.config;
    const row: WasmRow = { sequence, position, token, iterations: 0, isHead: false, ...sequence.slots.take(position) };
    sequence.length++;
    this.#writeAngles(position, floats, row.angles / 4, floats, row.angles / 4 + headDim / 2);
    this.#embed(token, row.embedded);
    for (const buffer of [row.state / 4, row.measured / 4])
      if (state === undefined) floats.fill(0, buffer, buffer + width);
      else floats.set(state, buffer);
    if (row.strongest !== 0) floats.fill(0, row.strongest / 4, row.strongest / 4 + position + 1);
    return row;
  }

  #toRead(rows: readonly Row[], heads: readonly Row[], tokens?: readonly number[]): ReadableRows<WasmRow> {
    const own = this.#sequences.readable(rows, heads, tokens);
    for (const row of own.rows) row.isHead = false;
    for (const row of own.heads) row.isHead = true;
    return own;
  }

  #embed(token: number, out: number): void {
    const { record, format } = this.#model.embedding;
    this.kernels.embed[format](record, token, this.config.embedScale, out);
  }

  #copy(at: number): Float32Array {
    return this.arena.floats.slice(at / 4, at / 4 + this.config.width);
  }

  #finalNorm(row: WasmRow, stage: "core" | "coda"): Float32Array {
    const { block, input, inputStride } = this.#workspace;
    this.#blocks.enter([row], stage);
    this.kernels.run.normRows(block, this.#table.record(0), 1, this.#model.finalNorm, input, inputStride);
    return this.#copy(input);
  }
}
