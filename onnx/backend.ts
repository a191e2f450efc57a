/**
 * The ONNX backend: three graphs in onnxruntime-web, one run a call and sequence, the cache and the states on the host.
 * An independent implementation to check the others against, and the way to run graphs that others bring. It decides
 * what is fed and kept; the arithmetic is the runtime's, whose last bits depend on how many rows a run has.
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
import { FathomError } from "../engine/errors.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { OnnxSequence, type CallRow } from "./cache.ts";
import { checkOptions, placeInputs } from "./check.ts";
import { cacheFeeds, int32, keepAttention, part, stack, type OnnxRow } from "./rows.ts";
import type { Feed, GraphSession, Provider } from "./session.ts";
import { cacheNames, layersOf, type GraphName } from "./signature.ts";
import { runsNeeded, viewLayers, type Made } from "./view.ts";

export type Graphs = Readonly<Record<GraphName, GraphSession>>;

export interface OnnxBackendOptions {
  /** Most bytes of weights and caches together. What the runtime takes besides is not known. [default Infinity] */
  readonly limitBytes?: number;
}

type Outputs = Readonly<Record<string, Float32Array>>;

export class OnnxBackend implements Backend, Inspectable {
  readonly name = "onnx";
  readonly maxRows = Infinity;
  readonly config: ModelConfig;
  /** Where the runtime computes. */
  readonly provider: Provider;
  readonly #graphs: Graphs;
  readonly #limitBytes: number;
  readonly #open = new Set<Sequence>();
  #cacheBytes = 0;
  #peakCacheBytes = 0;
  /** The runtime takes one run at a time. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(config: ModelConfig, graphs: Graphs, provider: Provider, options: OnnxBackendOptions = {}) {
    this.config = config;
    this.provider = provider;
    this.#graphs = graphs;
    this.#limitBytes = options.limitBytes ?? Infinity;
  }

  sequenceBytes(options: SequenceOptions): number {
    return OnnxSequence.bytes(options, this.config);
  }

  openSequence(options: SequenceOptions): Sequence {
    checkOptions(options, this.config);
    const bytes = this.sequenceBytes(options);
    const { usedBytes, limitBytes } = this.memory();
    if (usedBytes + bytes > limitBytes)
      throw new FathomError("out_of_memory", `A cache of ${bytes} bytes does not fit: ${usedBytes} of ${limitBytes} bytes are in use.`);
    const sequence = new OnnxSequence(options, this.config);
    this.#open.add(sequence);
    this.#cacheBytes += bytes;
    this.#peakCacheBytes = Math.max(this.#peakCacheBytes, this.#cacheBytes);
    return sequence;
  }

  closeSequence(sequence: Sequence): void {
    if (this.#open.delete(sequence)) this.#cacheBytes -= this.sequenceBytes(sequence.options);
  }

  truncate(sequence: Sequence, length: number): void {
    this.#sequence(sequence).truncate(length);
  }

  async prelude(inputs: readonly RowInput[]): Promise<Row[]> {
    const places = placeInputs(inputs, this.config, (sequence) => this.#sequence(sequence));
    const { width } = this.config;
    const made: OnnxRow[] = [];
    await this.#bySequence(places, async (sequence, own, at) => {
      const rows = own.map(({ position }) => ({ position, iterations: 0 }));
      const { embedded } = await this.#run("prelude", sequence, rows, { tokens: int32(own.map((place) => place.token)) });
      sequence.length += own.length;
      own.forEach(({ token, position, state }, i) => {
        const s0 = state?.slice() ?? new Float32Array(width);
        const e = part(embedded, i, width);
        made[at[i]!] = { sequence, token, position, iterations: 0, embedded: e, state: s0, measured: s0, live: true };
      });
    });
    return made;
  }

  async iterate(rows: readonly Row[]): Promise<void> {
    const { width } = this.config;
    for (const { iterations, position, sequence } of this.#rows(rows))
      if (iterations >= sequence.options.maxIterations)
        throw new FathomError(
          "invalid_request",
          `The sequence was opened for ${sequence.options.maxIterations} iterations; position ${position} has run them all.`,
        );
    await this.#bySequence(this.#rows(rows), async (sequence, own) => {
      const views = viewLayers(sequence, "core", this.config.coreLayers, own);
      const feeds = { state: stack(own, (row) => row.state), embedded: stack(own, (row) => row.embedded) };
      const outputs = await this.#run("core", sequence, own, feeds, views);
      own.forEach((row, i) => {
        row.state = part(outputs["next_state"], i, width);
        row.iterations++;
      });
      if (sequence.options.attention === true) keepAttention(own, views, outputs);
    });
  }

  measure(rows: readonly Row[]): StateChange[] {
    return this.#rows(rows).map((row) => {
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

  async readout(rows: readonly Row[], heads: readonly Row[]): Promise<Float32Array[]> {
    const { width, vocabSize } = this.config;
    const logits: Float32Array[] = [];
    await this.#bySequence(this.#rows(rows), async (sequence, own) => {
      const wanted = this.#rows(heads).filter((row) => row.sequence === sequence);
      const { logits: found, head_input: headInput, latent } = await this.#readOut(sequence, own, wanted);
      wanted.forEach((row, i) => {
        row.headInput = part(headInput, i, width);
        logits[heads.indexOf(row)] = part(found, i, vocabSize).slice();
      });
      own.forEach((row, i) => (row.normalised = { of: row.state, latent: part(latent, i, width) }));
    });
    return logits;
  }

  /** The norm lies in the coda's graph: what the last readout did not give takes a run of it, which leaves no trace. */
  async latent(row: Row, form: "raw" | "normalised"): Promise<LatentState> {
    const [own] = this.#rows([row]) as [OnnxRow];
    if (form === "raw" || !this.config.block.normAfterCore) return own.state.slice();
    if (own.normalised?.of === own.state) return own.normalised.latent.slice();
    const alone = new OnnxSequence({ ...own.sequence.options, capacity: 1 }, this.config);
    const { latent } = await this.#readOut(alone, [{ ...own, position: 0, sequence: alone }], []);
    return latent!;
  }

  release(rows: readonly Row[]): void {
    for (const row of rows) (row as OnnxRow).live = false;
  }

  memory(): MemoryLedger {
    const weights = Object.values(this.#graphs).reduce((sum, graph) => sum + graph.bytes, 0);
    return {
      usedBytes: weights + this.#cacheBytes,
      peakBytes: weights + this.#peakCacheBytes,
      limitBytes: this.#limitBytes,
      owners: { weights, "kv cache": this.#cacheBytes },
    };
  }

  /** Gives the runtime's memory back; the backend is of no use afterwards. */
  async close(): Promise<void> {
    for (const graph of Object.values(this.#graphs)) await this.#exclusive(() => graph.close());
  }

  attention(rows: readonly Row[]): Float32Array[] {
    return this.#rows(rows).map(({ attention, sequence, position }) => {
      if (sequence.options.attention !== true)
        throw new FathomError("invalid_request", "The sequence was not opened with `attention`.", "attention");
      return attention?.slice() ?? new Float32Array(position + 1);
    });
  }

  embedded(row: Row): Float32Array {
    return (row as OnnxRow).embedded.slice();
  }

  setEmbedded(row: Row, embedded: Float32Array): void {
    (row as OnnxRow).embedded = embedded.slice();
  }

  headInput(row: Row): Float32Array {
    return (row as OnnxRow).headInput!.slice();
  }

  cached(sequence: Sequence, slot: number, position: number): { key: Float32Array; value: Float32Array } {
    const own = this.#sequence(sequence);
    const place = own.slotsAt(position).find(([graph, local]) => this.#publicSlot(graph, local) === slot);
    if (place === undefined) throw new FathomError("missing_cache", `Slot ${slot} holds nothing for position ${position}.`);
    const { key, value } = own.entries(...place);
    const [from, to] = [position * own.entry, (position + 1) * own.entry];
    return { key: key.slice(from, to), value: value.slice(from, to) };
  }

  cachedSlots(sequence: Sequence): number[] {
    const own = this.#sequence(sequence);
    const slots = new Set<number>();
    for (let p = 0; p < own.length; p++) for (const [graph, slot] of own.slotsAt(p)) slots.add(this.#publicSlot(graph, slot));
    return [...slots].sort((a, b) => a - b);
  }

  /** The reference's numbers: prelude, then core, coda negative. */
  #publicSlot(graph: GraphName, slot: number): number {
    return graph === "coda" ? -1 - slot : graph === "core" ? this.config.preludeLayers + slot : slot;
  }

  /** The coda over rows and the head over some of them, none maybe; the graph itself always has one. */
  #readOut(sequence: OnnxSequence, rows: readonly OnnxRow[], heads: readonly OnnxRow[]): Promise<Outputs> {
    const indices = heads.map((row) => rows.indexOf(row));
    return this.#run("coda", sequence, rows, {
      state: stack(rows, (row) => row.state),
      heads: int32(indices.length === 0 ? [0] : indices),
    });
  }

  /** Runs a graph over rows of one sequence and keeps their keys and values. */
  async #run(
    graph: GraphName,
    sequence: OnnxSequence,
    rows: readonly CallRow[],
    feeds: Readonly<Record<string, Feed>>,
    views = viewLayers(sequence, graph, layersOf(this.config, graph), rows),
  ): Promise<Outputs> {
    const positions = int32(rows.map((row) => row.position));
    const outputs = await this.#exclusive(async () => {
      let result: Outputs = {};
      let made: Made;
      for (let n = runsNeeded(views); n > 0; n--) {
        result = await this.#graphs[graph].run({ ...feeds, positions, ...cacheFeeds(sequence, graph, views, rows.length, made) });
        made = views.map((_, layer) => ({ key: result[cacheNames(layer).key]!, value: result[cacheNames(layer).value]! }));
      }
      return result;
    });
    const { entry } = sequence;
    views.forEach((_, layer) => {
      const { key, value } = cacheNames(layer);
      rows.forEach((row, i) => sequence.write(graph, layer, row, part(outputs[key], i, entry), part(outputs[value], i, entry)));
    });
    return outputs;
  }

  #exclusive<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(run);
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** Visits the items of each sequence together, positions ascending whatever order they come in, with their places in the list. */
  async #bySequence<T extends { readonly sequence: OnnxSequence; readonly position: number }>(
    items: readonly T[],
    visit: (sequence: OnnxSequence, own: T[], at: number[]) => Promise<void>,
  ): Promise<void> {
    for (const sequence of new Set(items.map((item) => item.sequence))) {
      const at = [...items.keys()].filter((i) => items[i]!.sequence === sequence).sort((a, b) => items[a]!.position - items[b]!.position);
      await visit(
        sequence,
        at.map((i) => items[i]!),
        at,
      );
    }
  }

  #sequence(sequence: Sequence): OnnxSequence {
    if (!this.#open.has(sequence)) throw new FathomError("invalid_request", "The sequence is closed, or belongs to another backend.");
    return sequence as OnnxSequence;
  }

  #rows(rows: readonly Row[]): readonly OnnxRow[] {
    for (const row of rows as readonly OnnxRow[])
      if (!row.live) throw new FathomError("invalid_request", `The row at position ${row.position} has been released.`);
    return rows as readonly OnnxRow[];
  }
}
