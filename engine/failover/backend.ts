/**
 * A backend that survives another's death: when the primary backend is gone, hung or out of memory, the fallback is brought
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
import { checkSequenceOptions, noBranches } from "../port/checks.ts";
import type { BackendFactory } from "../port/model.ts";
import { OpenSequences } from "../port/sequences.ts";
import { FailoverChain } from "./chain.ts";
import { FailoverRow, FailoverSequence, innerOf, note, type Home } from "./rows.ts";
import { watched, type Watchdog } from "./watchdog.ts";

/**
 * A factory that tries the primary backend and falls back: at once where it cannot take the model, later where it goes away.
 * The checkpoint is then read again.
 * @param log gets one line for every change
 * @param watchdog after how long a call that does not end counts as the primary's death [default never]
 * @example
 * const model = await loadModel(folder, withFallback(createWebGpuBackend(device), createNodeWasmBackend, console.error));
 */
export function withFallback<P extends Backend>(
  primary: BackendFactory<P>,
  fallback: BackendFactory,
  log: (line: string) => void,
  watchdog?: Watchdog,
): BackendFactory {
  return async (config: ModelConfig, load: (sink: WeightSink) => Promise<void>) => {
    const open = (): Promise<Backend> => fallback(config, load);
    try {
      return new FailoverBackend(await primary(config, load), open, log, watchdog);
    } catch (error) {
      if (!isGone(error)) throw error;
      log(`The primary backend cannot run this model: ${(error as Error).message} The fallback runs it.`);
      return open();
    }
  };
}

/** Failures that another backend may not have. */
function isGone(error: unknown): boolean {
  return error instanceof FathomError && (error.code === "unavailable" || error.code === "out_of_memory");
}

export class FailoverBackend<P extends Backend = Backend> implements Backend {
  readonly #primary: P;
  readonly #openFallback: () => Promise<Backend>;
  readonly #log: (line: string) => void;
  readonly #watchdog: Watchdog | undefined;
  readonly #sequences = new OpenSequences<FailoverSequence, FailoverRow>(this);
  #active: Backend;
  #switching: Promise<void> | undefined;
  /** Where the primary backend has it; so must the fallback then. */
  readonly pressure?: (rows: readonly Row[], moved: Float32Array) => Promise<Float32Array>;

  readonly openChain?: TokenMaker["openChain"];
  readonly makeTokens?: TokenMaker["makeTokens"];

  constructor(primary: P, openFallback: () => Promise<Backend>, log: (line: string) => void, watchdog?: Watchdog) {
    this.#primary = primary;
    this.#active = primary;
    this.#openFallback = openFallback;
    this.#log = log;
    this.#watchdog = watchdog;
    if (primary.openChain !== undefined && primary.makeTokens !== undefined) {
      this.openChain = (options) => this.#openChain(options);
      this.makeTokens = (chains, limits) => this.#makeTokens(chains, limits);
    }
    if (primary.pressure !== undefined)
      this.pressure = async (rows, moved) => {
        const own = this.#sequences.watched(rows, moved);
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
    checkSequenceOptions(options, this.config);
    return this.#sequences.add(new FailoverSequence(options, this.#isLeaving ? undefined : this.#tryOpen(options)));
  }

  branch(): Sequence {
    throw noBranches(this.name);
  }

  closeSequence(sequence: Sequence): void {
    this.#sequences.close(sequence)?.sequence.close();
  }

  truncate(sequence: Sequence, length: number): void {
    const own = this.#sequences.cuttable(sequence, length);
    own.truncate(length);
    own.journal.note({ kind: "truncate", length });
  }

  async prelude(inputs: readonly RowInput[]): Promise<Row[]> {
    const places = this.#sequences.place(inputs);
    return this.#call(
      places,
      (backend) => backend.prelude(places.map(({ sequence, token, state }) => ({ sequence: sequence.home!.inner, token, state }))),
      (made) => {
        const rows = made.map((inner, i) => new FailoverRow(places[i]!, inner));
        this.#sequences.enter(rows);
        note("prelude", rows);
        return rows;
      },
    );
  }

  async iterate(rows: readonly Row[]): Promise<void> {
    const own = this.#sequences.iterable(rows);
    await this.#call(
      own,
      (backend) => backend.iterate(innerOf(own)),
      () => note("iterate", own),
    );
  }

  async measure(rows: readonly Row[]): Promise<StateChange[]> {
    const own = this.#sequences.rows(rows);
    return this.#call(
      own,
      (backend) => backend.measure(innerOf(own)),
      (changes) => {
        note("measure", own);
        return changes;
      },
    );
  }

  async readout(rows: readonly Row[], heads: readonly Row[], tokens?: readonly number[]): Promise<Float32Array[]> {
    const own = this.#sequences.readable(rows, heads, tokens);
    const only = tokens?.slice();
    return this.#call(
      own.rows,
      (backend) => backend.readout(innerOf(own.rows), innerOf(own.heads), only),
      (logits) => {
        note("readout", own.rows);
        return logits;
      },
    );
  }

  async latent(row: Row, form: "raw" | "normalised"): Promise<LatentState> {
    const [own] = this.#sequences.rows([row]) as [FailoverRow];
    return this.#call(
      [own],
      (backend) => backend.latent(own.inner, form),
      (state) => state,
    );
  }

  release(rows: readonly Row[]): void {
    const own = this.#sequences.leave(rows);
    note("release", own);
    for (const row of own) row.released = true;
    for (const { sequence, inner } of own) sequence.home?.backend.release([inner]);
  }

  memory(): MemoryLedger {
    return this.#active.memory();
  }

  #openChain(options: ChainOptions): TokenChain | undefined {
    if (this.primary === undefined) return undefined;
    const [row] = this.#sequences.rows([options.row]) as [FailoverRow];
    const inner = this.#primary.openChain!({ ...options, row: row.inner });
    if (inner === undefined) return undefined;
    this.#sequences.leave([row]);
    note("release", [row]);
    row.released = true;
    return new FailoverChain(row.sequence, inner, options);
  }

  async #makeTokens(chains: readonly TokenChain[], limits: readonly (readonly number[])[]): Promise<(readonly MadeToken[])[]> {
    for (const { sequence } of chains) this.#sequences.own(sequence);
    const own = chains as readonly FailoverChain[];
    if (this.primary !== undefined)
      try {
        const inner = own.map((chain) => chain.inner);
        const made = await watched(this.#primary.makeTokens!(inner, limits), this.#watchdog);
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
    rows: readonly { readonly sequence: FailoverSequence }[],
    run: (backend: Backend) => T | Promise<T>,
    done: (result: T) => R,
  ): Promise<R> {
    for (;;) {
      await this.#switching;
      for (const { sequence } of rows) {
        if (sequence.failure !== undefined) throw sequence.failure;
        this.#sequences.own(sequence); // it may have been closed while it moved
      }
      const backend = this.#active;
      const stays = (): boolean => backend === this.#active && this.#switching === undefined;
      try {
        const result = await watched(run(backend), backend === this.#primary ? this.#watchdog : undefined);
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
  #tryOpen(options: SequenceOptions): Home | undefined {
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
      sequence.depart();
      try {
        await sequence.journal.replay(fallback, (inner, carried) => sequence.land({ backend: fallback, inner }, carried));
      } catch (error) {
        sequence.failure = error;
      }
    }
    this.#active = fallback;
  }
}
