/**
 * The reference backend: the model in plain f32 TypeScript, row by row, exactly as the paper and the authors' code
 * have it (paper section 3). The oracle of every other backend; nothing here is meant to be fast.
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
} from "../port/backend.ts";
import type { WeightSink } from "../model/checkpoint.ts";
import type { ModelConfig, Recurrence } from "../model/config.ts";
import { rotaryTable } from "../model/rotary.ts";
import type { HalfNorms } from "../port/assemble.ts";
import { cacheSlots, checkLookup } from "../port/cached-sequence.ts";
import { checkSequenceOptions, checkVector, noHead } from "../port/checks.ts";
import { pressureOf, stateChange } from "../port/measure.ts";
import { OpenSequences } from "../port/sequences.ts";
import { ReferenceSequence, type Place } from "./cache.ts";
import { add, attend, linear, linearRows, rmsNorm, rotate, siluGate, type RotaryTable } from "./ops.ts";
import { collectWeights, type BlockWeights, type ModelWeights } from "./weights.ts";

/** What a block needs to know of a row. */
interface BlockRow {
  readonly sequence: ReferenceSequence;
  readonly position: number;
  /** Largest attention weight by position in the last core iteration, [position + 1]; where the sequence keeps it. */
  attention?: Float32Array;
}

interface ReferenceRow extends Row, BlockRow {
  readonly sequence: ReferenceSequence;
  iterations: number;
  /** e, [width] */
  embedded: Float32Array;
  /** s_t, [width] */
  state: Float32Array;
  /** s at the last `measure`, [width] */
  measured: Float32Array;
  /** The head's input, [width], where the row was a head of the last readout that it was in. */
  headInput?: Float32Array | undefined;
}

/**
 * Loads a model into the reference backend: plain TypeScript in f32, slow, and what all others are compared with.
 * @param load streams the checkpoint into the sink it is given (see `readCheckpoint`).
 * @throws {FathomError} whatever `load` finds wrong with the checkpoint
 * @example
 * const model = await loadModel(diskFolder("models/nano"), createReferenceBackend);
 */
export async function createReferenceBackend(config: ModelConfig, load: (sink: WeightSink) => Promise<void>): Promise<ReferenceBackend> {
  const { sink, finish } = collectWeights(config);
  await load(sink);
  return new ReferenceBackend(config, finish());
}

export class ReferenceBackend implements Backend, Inspectable {
  readonly name = "reference";
  readonly maxRows = Infinity;
  readonly config: ModelConfig;
  readonly exitGate: ExitGate | undefined;
  readonly #weights: ModelWeights;
  readonly #rotary: RotaryTable;
  readonly #sequences = new OpenSequences<ReferenceSequence, ReferenceRow>(this);
  #peakBytes = 0;

  constructor(config: ModelConfig, weights: ModelWeights) {
    this.config = config;
    this.#weights = weights;
    this.exitGate = weights.gate && { weight: weights.gate.weight, bias: weights.gate.bias[0]! };
    this.#rotary = rotaryTable(config);
  }

  sequenceBytes(options: SequenceOptions): number {
    const { kvHeads, headDim } = this.config;
    return options.capacity * cacheSlots(options, this.config) * 2 * kvHeads * headDim * 4;
  }

  openSequence(options: SequenceOptions): Sequence {
    checkSequenceOptions(options, this.config, this);
    return this.#add(new ReferenceSequence(options, this.config));
  }

  branch(parent: Sequence, options: BranchOptions): Sequence {
    const { parent: own, options: all } = this.#sequences.branchable(parent, options);
    return this.#add(new ReferenceSequence(all, this.config, own, options.from));
  }

  setAside(sequence: Sequence): void {
    this.#sequences.own(sequence).owner = "prefixes";
  }

  recall(sequence: Sequence, iterations: ArrayLike<number> | undefined): void {
    this.#sequences.recallable(sequence, iterations).recall(iterations);
  }

  #add(sequence: ReferenceSequence): Sequence {
    this.#sequences.add(sequence);
    this.#peakBytes = Math.max(this.#peakBytes, this.memory().usedBytes);
    return sequence;
  }

  closeSequence(sequence: Sequence): void {
    this.#sequences.close(sequence);
  }

  truncate(sequence: Sequence, length: number): void {
    this.#sequences.cuttable(sequence, length).truncate(length);
  }

  prelude(inputs: readonly RowInput[]): Row[] {
    const { width, embedScale, recurrence } = this.config;
    const places = this.#sequences.place(inputs);
    for (const { sequence } of places) sequence.length++;
    const embedded = places.map(({ token }) =>
      this.#weights.embedding.weights.slice(token * width, (token + 1) * width).map((v) => v * embedScale),
    );
    const out = this.#blocks(this.#weights.prelude, embedded, places, (layer) => ({ stage: "prelude", layer, iterations: 0 }));
    const rows = places.map(({ sequence, position, token, state }, i): ReferenceRow => {
      const s0 = state?.slice() ?? (recurrence.start === "embedded" ? out[i]!.slice() : new Float32Array(width));
      const row = { sequence, position, token, iterations: 0, embedded: out[i]!, state: s0, measured: s0 };
      return sequence.options.attention === true ? { ...row, attention: new Float32Array(position + 1) } : row;
    });
    this.#sequences.enter(rows);
    return rows;
  }

  iterate(rows: readonly Row[]): void {
    const own = this.#sequences.iterable(rows);
    checkLookup(own, this.config);
    for (const row of own) row.attention?.fill(0);
    const x = own.map((row) => this.#injected(row));
    const out = this.#blocks(this.#weights.core, x, own, (layer, row) => ({ stage: "core", layer, iterations: own[row]!.iterations }));
    own.forEach((row, i) => {
      row.state = this.#finalNorm("iteration", out[i]!);
      row.iterations++;
    });
  }

  /** What the core's first block reads. */
  #injected({ state, embedded, iterations }: ReferenceRow): Float32Array {
    if (this.#weights.adapter === undefined) return state;
    if (iterations === 0 && this.config.recurrence.skipsAdapter) return embedded;
    const joined = new Float32Array(2 * this.config.width); // state first, then e
    joined.set(state);
    joined.set(embedded, this.config.width);
    return linear(this.#weights.adapter, joined);
  }

  measure(rows: readonly Row[]): StateChange[] {
    return this.#sequences.rows(rows).map((row) => {
      const change = stateChange(row.state, row.measured);
      row.measured = row.state;
      return change;
    });
  }

  pressure(rows: readonly Row[], moved: Float32Array): Float32Array {
    return pressureOf(
      this.#sequences.watched(rows, moved).map((row) => row.attention!),
      moved,
    );
  }

  readout(rows: readonly Row[], heads: readonly Row[], tokens?: readonly number[]): Float32Array[] {
    const { head, coda } = this.#weights;
    const own = this.#sequences.readable(rows, heads, tokens);
    const x = own.rows.map((row) => this.#finalNorm("coda", row.state));
    const out = this.#blocks(coda, x, own.rows, (layer, row) => ({ stage: "coda", layer, iterations: own.rows[row]!.iterations }));
    const wanted = new Set(own.heads);
    own.rows.forEach((row, i) => (row.headInput = wanted.has(row) ? this.#finalNorm("head", out[i]!) : undefined));
    return own.heads.map(({ headInput }) => (tokens === undefined ? linear(head, headInput!) : linearRows(head, headInput!, tokens)));
  }

  latent(row: Row, form: "raw" | "normalised"): LatentState {
    const { state } = this.#row(row);
    return form === "raw" ? state.slice() : this.#finalNorm("coda", state);
  }

  release(rows: readonly Row[]): void {
    this.#sequences.leave(rows);
  }

  memory(): MemoryLedger {
    const owners: Record<string, number> = { "kv cache": 0 };
    for (const { options, owner } of this.#sequences) owners[owner] = (owners[owner] ?? 0) + this.sequenceBytes(options);
    const usedBytes = Object.values(owners).reduce((sum, bytes) => sum + bytes, 0);
    return { usedBytes, peakBytes: this.#peakBytes, limitBytes: Infinity, owners };
  }

  attention(rows: readonly Row[]): Float32Array[] {
    return this.#sequences.watched(rows).map((row) => row.attention!.slice());
  }

  embedded(row: Row): Float32Array {
    return this.#row(row).embedded.slice();
  }

  setEmbedded(row: Row, embedded: Float32Array): void {
    checkVector(embedded, this.config, "An embedding", "embedded");
    this.#row(row).embedded = embedded.slice();
  }

  headInput(row: Row): Float32Array {
    const { headInput } = this.#row(row);
    if (headInput === undefined) throw noHead(row);
    return headInput.slice();
  }

  cached(sequence: Sequence, slot: number, position: number): { key: Float32Array; value: Float32Array } {
    const own = this.#sequences.own(sequence);
    const { stage, slot: local } = own.find(slot, position);
    return own.entry(stage, local, position);
  }

  cachedSlots(sequence: Sequence): number[] {
    return this.#sequences.own(sequence).publicSlots;
  }

  #row(row: Row): ReferenceRow {
    return this.#sequences.rows([row])[0]!;
  }

  /** ln_f, where the model has it there; else a copy. */
  #finalNorm(place: Recurrence["finalNorm"][number], x: Float32Array): Float32Array {
    const { recurrence, normEps } = this.config;
    return recurrence.finalNorm.includes(place) ? rmsNorm(x, this.#weights.finalNorm, normEps) : x.slice();
  }

  /** x normalised, where the block has such a norm. */
  #normed(x: Float32Array, weight: Float32Array | undefined): Float32Array {
    return weight === undefined ? x : rmsNorm(x, weight, this.config.normEps);
  }

  /** Runs blocks over rows: all rows pass one layer before any enters the next, as they attend to each other. */
  #blocks(
    blocks: readonly BlockWeights[],
    inputs: readonly Float32Array[],
    rows: readonly BlockRow[],
    placeOf: (layer: number, row: number) => Place,
  ): Float32Array[] {
    let x = [...inputs];
    blocks.forEach((block, layer) => {
      const queries = x.map((v, i) => this.#writeKeys(block, v, rows[i]!, placeOf(layer, i)));
      x = x.map((v, i) => this.#finishBlock(block, v, queries[i]!, rows[i]!, placeOf(layer, i)));
    });
    return x;
  }

  /** The norm, q k v, their biases or norms, and rotary; stores k and v, returns q [heads * headDim]. */
  #writeKeys(block: BlockWeights, x: Float32Array, { sequence, position }: BlockRow, place: Place): Float32Array {
    const { heads, kvHeads, headDim, block: layout } = this.config;
    const qkv = linear(block.qkv, this.#normed(x, block.attentionNorms.input));
    const queryEnd = heads * headDim;
    const keyEnd = queryEnd + kvHeads * headDim;
    let query: Float32Array = qkv.slice(0, queryEnd);
    let key: Float32Array = qkv.slice(queryEnd, keyEnd);
    if (block.qkBias !== undefined) {
      query = add(query, block.qkBias.subarray(0, queryEnd));
      key = add(key, block.qkBias.subarray(queryEnd));
    }
    query = this.#normed(query, block.qkNorm?.query);
    key = this.#normed(key, block.qkNorm?.key);
    rotate(query, headDim, position, this.#rotary, layout.rotary);
    rotate(key, headDim, position, this.#rotary, layout.rotary);
    sequence.write(place, position, { key, value: qkv.slice(keyEnd) });
    return query;
  }

  /** Attention and MLP, each with its norms. */
  #finishBlock(
    block: BlockWeights,
    x: Float32Array,
    query: Float32Array,
    { sequence, position, ...row }: BlockRow,
    place: Place,
  ): Float32Array {
    const { heads, kvHeads } = this.config;
    const seen = sequence.seenFrom(place, position);
    const strongest = place.stage === "core" && row.attention ? new Float32Array(seen.length) : undefined;
    const attended = attend(query, seen, heads, kvHeads, strongest);
    strongest?.forEach((w, n) => (row.attention![seen[n]!.position] = Math.max(row.attention![seen[n]!.position]!, w)));
    const mid = this.#join(x, linear(block.attentionOut, attended), block.attentionNorms);
    const gated = siluGate(linear(block.fc, this.#normed(mid, block.mlpNorms.input)));
    return this.#join(mid, linear(block.mlpOut, gated), block.mlpNorms);
  }

  /** What a half has made, on the residual. */
  #join(residual: Float32Array, made: Float32Array, norms: HalfNorms<Float32Array>): Float32Array {
    return this.#normed(add(residual, this.#normed(made, norms.output)), norms.sum);
  }
}
