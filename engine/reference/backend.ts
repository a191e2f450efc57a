/**
 * The reference backend: the model in plain f32 TypeScript, row by row, exactly as the paper and the authors' code
 * have it (paper section 3). The oracle of every other backend; nothing here is meant to be fast.
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
} from "../port/backend.ts";
import { writtenSlots } from "../cache-strategy.ts";
import { FathomError } from "../errors.ts";
import type { WeightSink } from "../model/checkpoint.ts";
import type { ModelConfig } from "../model/config.ts";
import { rotaryTable } from "../model/rotary.ts";
import { ReferenceCache, type Place } from "./cache.ts";
import { add, attend, linear, rmsNorm, rotate, siluGate, type RotaryTable } from "./ops.ts";
import { collectWeights, type BlockWeights, type ModelWeights } from "./weights.ts";

class ReferenceSequence implements Sequence {
  readonly options: SequenceOptions;
  readonly cache: ReferenceCache;
  length = 0;

  constructor(options: SequenceOptions, config: ModelConfig) {
    this.options = options;
    this.cache = new ReferenceCache(options, config.preludeLayers, config.coreLayers);
  }
}

/** What a block needs to know of a row. */
interface RowPlace {
  readonly sequence: ReferenceSequence;
  readonly position: number;
  /** Largest attention weight by position in the last core iteration, [position + 1]; where the sequence keeps it. */
  attention?: Float32Array;
}

interface ReferenceRow extends Row, RowPlace {
  readonly sequence: ReferenceSequence;
  iterations: number;
  /** e, [width] */
  embedded: Float32Array;
  /** s_t, [width] */
  state: Float32Array;
  /** s at the last `measure`, [width] */
  measured: Float32Array;
  /** The head's input of the last readout, [width] */
  headInput?: Float32Array;
}

/**
 * Loads a model into the reference backend.
 * @param load streams the checkpoint into the sink it is given (see `readCheckpoint`).
 * @throws {FathomError} whatever `load` finds wrong with the checkpoint
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
  readonly #weights: ModelWeights;
  readonly #rotary: RotaryTable;
  readonly #open = new Set<Sequence>();
  #peakBytes = 0;

  constructor(config: ModelConfig, weights: ModelWeights) {
    this.config = config;
    this.#weights = weights;
    this.#rotary = rotaryTable(config);
  }

  sequenceBytes(options: SequenceOptions): number {
    const { preludeLayers, coreLayers, codaLayers, kvHeads, headDim } = this.config;
    const slots = preludeLayers + codaLayers + writtenSlots(options.cache.sharing, options.maxIterations * coreLayers);
    return options.capacity * slots * 2 * kvHeads * headDim * 4;
  }

  openSequence(options: SequenceOptions): Sequence {
    const sequence = new ReferenceSequence(options, this.config);
    this.#open.add(sequence);
    this.#peakBytes = Math.max(this.#peakBytes, this.memory().usedBytes);
    return sequence;
  }

  closeSequence(sequence: Sequence): void {
    this.#open.delete(sequence);
  }

  truncate(sequence: Sequence, length: number): void {
    const s = sequence as ReferenceSequence;
    s.cache.truncate(length);
    s.length = Math.min(s.length, length);
  }

  prelude(inputs: readonly RowInput[]): Row[] {
    const { width, vocabSize, embedScale } = this.config;
    const positions = inputs.map((input) => this.#take(input.sequence as ReferenceSequence));
    const embedded = inputs.map(({ token }) => {
      if (!Number.isInteger(token) || token < 0 || token >= vocabSize)
        throw new FathomError("token_out_of_range", `Token ${token} is outside the vocabulary of ${vocabSize}.`, "token");
      return this.#weights.embedding.weights.slice(token * width, (token + 1) * width).map((v) => v * embedScale);
    });
    const places = inputs.map(({ sequence }, i) => ({ sequence: sequence as ReferenceSequence, position: positions[i]! }));
    const out = this.#blocks(this.#weights.prelude, embedded, places, (layer) => ({ group: "prelude", layer }));
    return inputs.map(({ token, state }, i): ReferenceRow => {
      const s0 = state?.slice() ?? new Float32Array(width);
      return { ...places[i]!, token, iterations: 0, embedded: out[i]!, state: s0, measured: s0 };
    });
  }

  iterate(rows: readonly Row[]): void {
    const own = rows as readonly ReferenceRow[];
    for (const row of own) if (row.sequence.options.attention === true) row.attention = new Float32Array(row.position + 1);
    const x = own.map((row) => {
      const joined = new Float32Array(2 * this.config.width); // state first, then e
      joined.set(row.state);
      joined.set(row.embedded, this.config.width);
      return linear(this.#weights.adapter, joined);
    });
    const out = this.#blocks(this.#weights.core, x, own, (layer, row) => ({ group: "core", layer, iteration: own[row]!.iterations }));
    own.forEach((row, i) => {
      row.state = out[i]!;
      row.iterations++;
    });
  }

  measure(rows: readonly Row[]): StateChange[] {
    return (rows as readonly ReferenceRow[]).map((row) => {
      const { state, measured } = row;
      row.measured = state;
      let [distance, norm, previousNorm, dot] = [0, 0, 0, 0];
      for (let i = 0; i < state.length; i++) {
        const [s, m] = [state[i]!, measured[i]!];
        distance += (s - m) ** 2;
        norm += s * s;
        previousNorm += m * m;
        dot += s * m;
      }
      return { distance: Math.sqrt(distance), norm: Math.sqrt(norm), previousNorm: Math.sqrt(previousNorm), dot };
    });
  }

  pressure(rows: readonly Row[], moved: Float32Array): Float32Array {
    return Float32Array.from(this.attention(rows), (weights) => weights.reduce((sum, weight, p) => sum + weight * moved[p]!, 0));
  }

  readout(rows: readonly Row[], heads: readonly Row[]): Float32Array[] {
    const { finalNorm, head, coda } = this.#weights;
    const own = rows as readonly ReferenceRow[];
    const x = own.map((row) => this.#afterCore(row.state));
    const out = this.#blocks(coda, x, own, (layer) => ({ group: "coda", layer }));
    own.forEach((row, i) => (row.headInput = rmsNorm(out[i]!, finalNorm, this.config.normEps)));
    return (heads as readonly ReferenceRow[]).map((row) => linear(head, row.headInput!));
  }

  latent(row: Row, form: "raw" | "normalised"): LatentState {
    const { state } = row as ReferenceRow;
    return form === "raw" ? state.slice() : this.#afterCore(state);
  }

  release(_rows: readonly Row[]): void {
    // rows are ordinary objects here
  }

  memory(): MemoryLedger {
    let kvCache = 0;
    for (const { options } of this.#open) kvCache += this.sequenceBytes(options);
    return { usedBytes: kvCache, peakBytes: this.#peakBytes, limitBytes: Infinity, owners: { "kv cache": kvCache } };
  }

  attention(rows: readonly Row[]): Float32Array[] {
    return (rows as readonly ReferenceRow[]).map((row) => row.attention!.slice());
  }

  embedded(row: Row): Float32Array {
    return (row as ReferenceRow).embedded.slice();
  }

  setEmbedded(row: Row, embedded: Float32Array): void {
    (row as ReferenceRow).embedded = embedded.slice();
  }

  headInput(row: Row): Float32Array {
    return (row as ReferenceRow).headInput!.slice();
  }

  cached(sequence: Sequence, slot: number, position: number): { key: Float32Array; value: Float32Array } {
    const entry = (sequence as ReferenceSequence).cache.entry(slot, position);
    if (entry === undefined) throw new FathomError("missing_cache", `Slot ${slot} holds nothing for position ${position}.`);
    return entry;
  }

  cachedSlots(sequence: Sequence): number[] {
    return (sequence as ReferenceSequence).cache.slots;
  }

  /** The next position of a sequence. */
  #take(sequence: ReferenceSequence): number {
    if (sequence.length >= sequence.options.capacity)
      throw new FathomError("context_overflow", `The sequence was opened for ${sequence.options.capacity} positions; all are taken.`);
    return sequence.length++;
  }

  #afterCore(state: Float32Array): Float32Array {
    return this.config.block.normAfterCore ? rmsNorm(state, this.#weights.finalNorm, this.config.normEps) : state.slice();
  }

  /** Runs blocks over rows: all rows pass one layer before any enters the next, as they attend to each other. */
  #blocks(
    blocks: readonly BlockWeights[],
    inputs: readonly Float32Array[],
    rows: readonly RowPlace[],
    placeOf: (layer: number, row: number) => Place,
  ): Float32Array[] {
    let x = [...inputs];
    blocks.forEach((block, layer) => {
      const queries = x.map((v, i) => this.#writeKeys(block, v, rows[i]!, placeOf(layer, i)));
      x = x.map((v, i) => this.#finishBlock(block, v, queries[i]!, rows[i]!, placeOf(layer, i)));
    });
    return x;
  }

  /** norm_1, q k v, biases and rotary; stores k and v, returns q [heads * headDim]. */
  #writeKeys(block: BlockWeights, x: Float32Array, { sequence, position }: RowPlace, place: Place): Float32Array {
    const { heads, kvHeads, headDim, normEps, block: layout } = this.config;
    const qkv = linear(block.qkv, rmsNorm(x, block.norms[0]!, normEps));
    const queryEnd = heads * headDim;
    const keyEnd = queryEnd + kvHeads * headDim;
    let query: Float32Array = qkv.slice(0, queryEnd);
    let key: Float32Array = qkv.slice(queryEnd, keyEnd);
    if (block.qkBias !== undefined) {
      query = add(query, block.qkBias.subarray(0, queryEnd));
      key = add(key, block.qkBias.subarray(queryEnd));
    }
    rotate(query, headDim, position, this.#rotary, layout.rotary);
    rotate(key, headDim, position, this.#rotary, layout.rotary);
    sequence.cache.write(place, position, { key, value: qkv.slice(keyEnd) });
    return query;
  }

  /** Attention and MLP, with norms before and after each (sandwich) or before each only (pre). */
  #finishBlock(
    block: BlockWeights,
    x: Float32Array,
    query: Float32Array,
    { sequence, position, ...row }: RowPlace,
    place: Place,
  ): Float32Array {
    const { heads, kvHeads, normEps, block: layout } = this.config;
    const seen = sequence.cache.visible(place, position);
    const strongest = place.group === "core" && row.attention ? new Float32Array(seen.length) : undefined;
    const attended = attend(query, seen, heads, kvHeads, strongest);
    strongest?.forEach((w, n) => (row.attention![seen[n]!.position] = Math.max(row.attention![seen[n]!.position]!, w)));
    const mid = add(x, linear(block.attentionOut, attended));
    const mlp = (input: Float32Array): Float32Array => linear(block.mlpOut, siluGate(linear(block.fc, input)));
    if (layout.norms === "pre") return add(mid, mlp(rmsNorm(mid, block.norms[1]!, normEps)));
    const u = rmsNorm(mid, block.norms[1]!, normEps);
    return rmsNorm(add(u, mlp(rmsNorm(u, block.norms[2]!, normEps))), block.norms[3]!, normEps);
  }
}
