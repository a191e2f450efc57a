/**
 * The ONNX backend: three graphs in onnxruntime-web, one run a call and family of branches, the cache and the states on the host.
 * An independent implementation to check the others against, and the way to run graphs that others bring. It decides
 * what is fed and kept; the arithmetic is the runtime's, whose last bits depend on how many rows a run has.
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
import { FathomError } from "../engine/errors.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { layersOf, type Stage } from "../engine/model/stage.ts";
import { checkSequenceOptions, checkVector, noHead } from "../engine/port/checks.ts";
import { logitsOf, pressureOf, stateChange } from "../engine/port/measure.ts";
import { OpenSequences } from "../engine/port/sequences.ts";
import { OnnxSequence, type CallRow } from "./cache.ts";
import { cacheFeeds, coreFeeds, int32, keepAttention, part, stack, type OnnxRow } from "./rows.ts";
import type { Feed, GraphSession, Provider } from "./session.ts";
import { cacheNames } from "./signature.ts";
import { runsNeeded, viewLayers, type Made } from "./view.ts";

export type Graphs = Readonly<Record<Stage, GraphSession>>;

export interface OnnxBackendOptions {
  /** Most bytes of weights and caches together. What the runtime takes besides is not known. [default Infinity] */
  readonly limitBytes?: number;
}

type Outputs = Readonly<Record<string, Float32Array>>;

/** A run of a graph: what came out, and what keeps its keys and values. */
interface GraphRun {
  readonly outputs: Outputs;
  keep(): void;
}

export class OnnxBackend implements Backend, Inspectable {
  readonly name = "onnx";
  readonly maxRows = Infinity;
  readonly config: ModelConfig;
  readonly exitGate: ExitGate | undefined;
  /** Where the runtime computes. */
  readonly provider: Provider;
  readonly #graphs: Graphs;
  readonly #limitBytes: number;
  readonly #sequences = new OpenSequences<OnnxSequence, OnnxRow>(this);
  #cacheBytes = 0;
  #peakCacheBytes = 0;
  /** The runtime takes one run at a time. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(config: ModelConfig, graphs: Graphs, exitGate: ExitGate | undefined, provider: Provider, options: OnnxBackendOptions = {}) {
    this.config = config;
    this.exitGate = exitGate;
    this.provider = provider;
    this.#graphs = graphs;
    this.#limitBytes = options.limitBytes ?? Infinity;
  }

  sequenceBytes(options: SequenceOptions): number {
    return OnnxSequence.bytes(options, this.config);
  }

  openSequence(options: SequenceOptions): Sequence {
    checkSequenceOptions(options, this.config);
    return this.#open(options);
  }

  branch(parent: Sequence, options: BranchOptions): Sequence {
    const { parent: own, options: all } = this.#sequences.branchable(parent, options);
    return this.#open(all, own);
  }

  /** @throws {FathomError} out_of_memory */
  #open(options: SequenceOptions, parent?: OnnxSequence): Sequence {
    const bytes = this.sequenceBytes(options);
    const { usedBytes, limitBytes } = this.memory();
    if (usedBytes + bytes > limitBytes)
      throw new FathomError("out_of_memory", `A cache of ${bytes} bytes does not fit: ${usedBytes} of ${limitBytes} bytes are in use.`);
    this.#cacheBytes += bytes;
    this.#peakCacheBytes = Math.max(this.#peakCacheBytes, this.#cacheBytes);
    return this.#sequences.add(new OnnxSequence(options, this.config, parent));
  }

  closeSequence(sequence: Sequence): void {
    if (this.#sequences.close(sequence) !== undefined) this.#cacheBytes -= this.sequenceBytes(sequence.options);
  }

  truncate(sequence: Sequence, length: number): void {
    this.#sequences.cuttable(sequence, length).truncate(length);
  }

  async prelude(inputs: readonly RowInput[]): Promise<Row[]> {
    const places = this.#sequences.place(inputs);
    const { width, recurrence } = this.config;
    const made: OnnxRow[] = [];
    await this.#byFamily(places, async (own, at) => {
      const rows = own.map(({ sequence, position }) => ({ sequence, position, iterations: 0 }));
      const { outputs, keep } = await this.#run("prelude", rows, { tokens: int32(own.map((place) => place.token)) });
      return () => {
        keep();
        own.forEach(({ sequence, token, position, state }, i) => {
          sequence.length++;
          const e = part(outputs["embedded"], i, width);
          const s0 = state?.slice() ?? (recurrence.start === "embedded" ? e : new Float32Array(width));
          const attention = sequence.options.attention === true ? new Float32Array(position + 1) : undefined;
          made[at[i]!] = { sequence, token, position, iterations: 0, embedded: e, state: s0, measured: s0, attention };
        });
      };
    });
    this.#sequences.enter(made);
    return made;
  }

  async iterate(rows: readonly Row[]): Promise<void> {
    const { width } = this.config;
    await this.#byFamily(this.#sequences.iterable(rows), async (own) => {
      const views = viewLayers("core", this.config.coreLayers, own);
      const { outputs, keep } = await this.#run("core", own, coreFeeds(this.config, own), views);
      return () => {
        keep();
        own.forEach((row, i) => {
          row.state = part(outputs["next_state"], i, width);
          row.iterations++;
        });
        keepAttention(own, views, outputs);
      };
    });
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

  async readout(rows: readonly Row[], heads: readonly Row[], tokens?: readonly number[]): Promise<Float32Array[]> {
    const { width, vocabSize } = this.config;
    const { rows: all, heads: asked } = this.#sequences.readable(rows, heads, tokens);
    const logits: Float32Array[] = [];
    await this.#byFamily(all, async (own) => {
      const wanted = own.filter((row) => asked.includes(row));
      const { outputs, keep } = await this.#readOut(own, wanted);
      return () => {
        keep();
        own.forEach((row, i) => {
          row.headInput = undefined;
          row.normalised = { of: row.state, latent: part(outputs["latent"], i, width) };
        });
        wanted.forEach((row, i) => {
          row.headInput = part(outputs["head_input"], i, width);
          logits[asked.indexOf(row)] = logitsOf(part(outputs["logits"], i, vocabSize).slice(), tokens);
        });
      };
    });
    return logits;
  }

  /** The norm lies in the coda's graph: what the last readout did not give takes a run of it, which leaves no trace. */
  async latent(row: Row, form: "raw" | "normalised"): Promise<LatentState> {
    const own = this.#row(row);
    if (form === "raw" || !this.config.recurrence.finalNorm.includes("coda")) return own.state.slice();
    if (own.normalised?.of === own.state) return own.normalised.latent.slice();
    const alone = new OnnxSequence({ ...own.sequence.options, capacity: 1 }, this.config);
    const { outputs } = await this.#readOut([{ ...own, position: 0, sequence: alone }], []);
    return outputs["latent"]!;
  }

  release(rows: readonly Row[]): void {
    this.#sequences.leave(rows);
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
    const holder = own.holderOf(position);
    const { key, value } = holder.entries(stage, local);
    const [from, to] = [(position - holder.start) * own.entry, (position - holder.start + 1) * own.entry];
    return { key: key.slice(from, to), value: value.slice(from, to) };
  }

  cachedSlots(sequence: Sequence): number[] {
    return this.#sequences.own(sequence).publicSlots;
  }

  #row(row: Row): OnnxRow {
    return this.#sequences.rows([row])[0]!;
  }

  /** The coda over rows and the head over some of them, none maybe; the graph itself always has one. */
  #readOut(rows: readonly OnnxRow[], heads: readonly OnnxRow[]): Promise<GraphRun> {
    const indices = heads.map((row) => rows.indexOf(row));
    return this.#run("coda", rows, {
      state: stack(rows, (row) => row.state),
      heads: int32(indices.length === 0 ? [0] : indices),
    });
  }

  /** Runs a graph over rows of one family; changes nothing yet. */
  async #run(
    stage: Stage,
    rows: readonly CallRow[],
    feeds: Readonly<Record<string, Feed>>,
    views = viewLayers(stage, layersOf(this.config, stage), rows),
  ): Promise<GraphRun> {
    const positions = int32(rows.map((row) => row.position));
    const { entry } = rows[0]!.sequence;
    const outputs = await this.#exclusive(async () => {
      let result: Outputs = {};
      let made: Made;
      for (let n = runsNeeded(views); n > 0; n--) {
        result = await this.#graphs[stage].run({ ...feeds, positions, ...cacheFeeds(entry, stage, views, rows.length, made) });
        made = views.map((_, layer) => ({ key: result[cacheNames(layer).key]!, value: result[cacheNames(layer).value]! }));
      }
      return result;
    });
    const keep = (): void =>
      views.forEach((_, layer) => {
        const { key, value } = cacheNames(layer);
        rows.forEach((row, i) => row.sequence.write(stage, layer, row, part(outputs[key], i, entry), part(outputs[value], i, entry)));
      });
    return { outputs, keep };
  }

  #exclusive<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(run);
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /**
   * Visits the items of a sequence, its ancestors and its branches together, positions ascending whatever order they come
   * in, with their places in the list; then, when none has failed, does what the visits left to do.
   */
  async #byFamily<T extends { readonly sequence: OnnxSequence; readonly position: number }>(
    items: readonly T[],
    visit: (own: T[], at: number[]) => Promise<() => void>,
  ): Promise<void> {
    const rest: (() => void)[] = [];
    const roots = items.map(({ sequence }) => sequence.holderOf(0));
    for (const root of new Set(roots)) {
      const at = [...items.keys()].filter((i) => roots[i] === root).sort((a, b) => items[a]!.position - items[b]!.position);
      const own = at.map((i) => items[i]!);
      rest.push(await visit(own, at));
    }
    for (const finish of rest) finish();
  }
}
