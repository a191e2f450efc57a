/**
 * A backend that survives another's death: when the primary backend is gone or out of memory, the fallback is brought
 * to the same state from the sequences' journals, and the call that failed runs there. Callers notice nothing but a log
 * line: no token is lost or doubled. Once gone, the primary is not asked again.
 */
import type {
  Backend,
  BackendName,
  LatentState,
  MemoryLedger,
  Row,
  RowInput,
  Sequence,
  SequenceOptions,
  StateChange,
} from "../port/backend.ts";
import type { SignalWord } from "../cpu-signal.ts";
import { FathomError } from "../errors.ts";
import type { WeightSink } from "../model/checkpoint.ts";
import type { ModelConfig } from "../model/config.ts";
import type { ChainOptions, MadeToken, TokenChain, TokenMaker } from "../port/chain.ts";
import type { BackendFactory } from "../port/model.ts";
import { FailoverRow, FailoverSequence, innerOf, note } from "./rows.ts";
import { FailoverChain } from "./chain.ts";

/**
 * A factory that tries the primary backend and falls back: at once where it cannot take the model, later where it goes away.
 * The checkpoint is then read again.
 * @param log gets one line for every change
 * @example
 * const model = await loadModel(folder, withFallback(createWebGpuBackend(device), createNodeWasmBackend, console.error));
 */
export function withFallback<P extends Backend>(
  primary: BackendFactory<P>,
  fallback: BackendFactory,
  log: (line: string) => void,
): BackendFactory {
  return async (config: ModelConfig, load: (sink: WeightSink) => Promise<void>) => {
    const open = (): Promise<Backend> => fallback(config, load);
    try {
      return new FailoverBackend(await primary(config, load), open, log);
    } catch (error) {
      if (!isGone(error)) throw error;
      log(`The primary backend cannot run this model: ${(error as Error).message} The fallback runs it.`);
      return open();
    }
  };
}

/** Failures that another backend may not have. */
export function isGone(error: unknown): boolean {
  return error instanceof FathomError && (error.code === "unavailable" || error.code === "out_of_memory");
}

export class FailoverBackend<P extends Backend = Backend> implements Backend {
  readonly #primary: P;
  readonly #openFallback: () => Promise<Backend>;
  readonly #log: (line: string) => void;
  readonly #sequences = new Set<FailoverSequence>();
  #active: Backend;
  #switching: Promise<void> | undefined;
  /** Where the primary backend has it; so must the fallback then. */
  readonly pressure?: (rows: readonly Row[], moved: Float32Array) => Promise<Float32Array>;

  readonly openChain?: TokenMaker["openChain"];
  readonly makeTokens?: TokenMaker["makeTokens"];

  constructor(primary: P, openFallback: () => Promise<Backend>, log: (line: string) => void) {
    this.#primary = primary;
    this.#active = primary;
    this.#openFallback = openFallback;
    this.#log = log;
    if (primary.openChain !== undefined && primary.makeTokens !== undefined) {
      this.openChain = (options) => this.#openChain(options);
      this.makeTokens = (chains, limits) => this.#makeTokens(chains, limits);
    }
    if (primary.pressure !== undefined)
      this.pressure = (rows, moved) => {
        const own = rows as readonly FailoverRow[];
        return this.#call(
          own,
          (backend) => backend.pressure!(innerOf(own), moved),
          (pressure) => pressure,
        );
      };
  }

  get name(): BackendName {
    return this.#active.name;
  }

  get config(): ModelConfig {
    return this.#primary.config;
  }

  get maxRows(): number {
    return this.#active.maxRows;
  }

  get cpuSignal(): SignalWord | undefined {
    return this.#active.cpuSignal;
  }

  /** The primary backend while it runs; undefined once the fallback has taken over. */
  get primary(): P | undefined {
    return this.#active === this.#primary && this.#switching === undefined ? this.#primary : undefined;
  }

  sequenceBytes(options: SequenceOptions): number {
    return this.#active.sequenceBytes(options);
  }

  /** Where the primary has gone away, or has no room for it, the sequence opens on the fallback, at its first call. */
  openSequence(options: SequenceOptions): Sequence {
    const sequence = new FailoverSequence(options, this.#isLeaving ? undefined : this.#tryOpen(options));
    this.#sequences.add(sequence);
    return sequence;
  }

  closeSequence(sequence: Sequence): void {
    const { place } = sequence as FailoverSequence;
    this.#sequences.delete(sequence as FailoverSequence);
    place?.backend.closeSequence(place.inner);
  }

  truncate(sequence: Sequence, length: number): void {
    const { journal, place } = sequence as FailoverSequence;
    journal.note({ kind: "truncate", length });
    place?.backend.truncate(place.inner, length);
  }

  async prelude(inputs: readonly RowInput[]): Promise<Row[]> {
    const sequences = inputs.map((input) => input.sequence as FailoverSequence);
    return this.#call(
      inputs,
      (backend) => backend.prelude(inputs.map((input, i) => ({ ...input, sequence: sequences[i]!.place!.inner }))),
      (made) => {
        const rows = made.map((inner, i) => new FailoverRow(sequences[i]!, inputs[i]!, inner));
        note("prelude", rows);
        return rows;
      },
    );
  }

  async iterate(rows: readonly Row[]): Promise<void> {
    const own = rows as readonly FailoverRow[];
    await this.#call(
      own,
      (backend) => backend.iterate(innerOf(own)),
      () => note("iterate", own),
    );
  }

  async measure(rows: readonly Row[]): Promise<StateChange[]> {
    const own = rows as readonly FailoverRow[];
    return this.#call(
      own,
      (backend) => backend.measure(innerOf(own)),
      (changes) => {
        note("measure", own);
        return changes;
      },
    );
  }

  async readout(rows: readonly Row[], heads: readonly Row[]): Promise<Float32Array[]> {
    const own = rows as readonly FailoverRow[];
    return this.#call(
      own,
      (backend) => backend.readout(innerOf(own), innerOf(heads as readonly FailoverRow[])),
      (logits) => {
        note("readout", own);
        return logits;
      },
    );
  }

  async latent(row: Row, form: "raw" | "normalised"): Promise<LatentState> {
    const own = row as FailoverRow;
    return this.#call(
      [own],
      (backend) => backend.latent(own.inner, form),
      (state) => state,
    );
  }

  release(rows: readonly Row[]): void {
    const own = (rows as readonly FailoverRow[]).filter((row) => !row.released);
    note("release", own);
    for (const row of own) row.released = true;
    for (const { sequence, inner } of own) sequence.place?.backend.release([inner]);
  }

  memory(): MemoryLedger {
    return this.#active.memory();
  }

  #openChain(options: ChainOptions): TokenChain | undefined {
    if (this.primary === undefined) return undefined;
    const row = options.row as FailoverRow;
    const inner = this.#primary.openChain!({ ...options, row: row.inner });
    if (inner === undefined) return undefined;
    note("release", [row]);
    row.released = true;
    return new FailoverChain(row.sequence, inner, options);
  }

  async #makeTokens(chains: readonly TokenChain[], limits: readonly (readonly number[])[]): Promise<(readonly MadeToken[])[]> {
    const own = chains as readonly FailoverChain[];
    if (this.primary !== undefined)
      try {
        const inner = own.map((chain) => chain.inner);
        const made = await this.#primary.makeTokens!(inner, limits);
        // where another request has found the device gone meanwhile, these tokens are not in the replay
        if (this.primary !== undefined) {
          made.forEach((tokens, i) => own[i]!.note(tokens));
          return made;
        }
      } catch (error) {
        if (!isGone(error)) throw error;
        if (this.primary !== undefined) this.#leave(error as Error);
      }
    await this.#switching;
    for (const { sequence } of own) if (sequence.failure !== undefined) throw sequence.failure;
    return own.map(() => []);
  }

  /** Runs a call on the backend that is active, and once more on the fallback if the device fails under it. */
  async #call<T, R>(
    rows: readonly { sequence: Sequence }[],
    run: (backend: Backend) => T | Promise<T>,
    done: (result: T) => R,
  ): Promise<R> {
    for (;;) {
      await this.#switching;
      for (const { sequence } of rows) {
        const { failure } = sequence as FailoverSequence;
        if (failure !== undefined) throw failure;
      }
      const backend = this.#active;
      const stays = (): boolean => backend === this.#active && this.#switching === undefined;
      try {
        const result = await run(backend);
        // a result that comes after the replay has begun is not in it: the call is repeated
        if (stays()) return done(result);
      } catch (error) {
        if (stays() && (backend !== this.#primary || !isGone(error))) throw error;
        if (stays()) this.#leave(error as Error);
      }
    }
  }

  get #isLeaving(): boolean {
    return this.#switching !== undefined && this.#active === this.#primary;
  }

  /** @throws {FathomError} what is the request's own fault, and what the fallback cannot hold either */
  #tryOpen(options: SequenceOptions): { backend: Backend; inner: Sequence } | undefined {
    try {
      return { backend: this.#active, inner: this.#active.openSequence(options) };
    } catch (error) {
      if (this.#active !== this.#primary || !isGone(error)) throw error;
      this.#leave(error as Error);
      return undefined;
    }
  }

  #leave(reason: Error): void {
    const count = this.#sequences.size;
    this.#log(
      `The ${this.#primary.name} backend went away: ${reason.message} ${count} sequence${count === 1 ? " goes" : "s go"} on without it.`,
    );
    this.#switching = this.#moveAll().finally(() => (this.#switching = undefined));
    this.#switching.catch(() => undefined); // calls that wait for it throw it
  }

  async #moveAll(): Promise<void> {
    const fallback = await this.#openFallback().catch((error: unknown) => {
      for (const sequence of this.#sequences) sequence.failure = error;
      throw error;
    });
    for (const sequence of this.#sequences) {
      sequence.place = undefined;
      try {
        await sequence.journal.replay(fallback, (inner, carried) => {
          sequence.place = { backend: fallback, inner };
          sequence.carried = carried;
        });
      } catch (error) {
        sequence.failure = error;
      }
      // closed meanwhile
      if (!this.#sequences.has(sequence)) this.closeSequence(sequence);
    }
    this.#active = fallback;
  }
}
