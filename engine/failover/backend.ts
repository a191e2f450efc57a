/**
 * A backend that survives another's death: when the primary backend is gone, hung or out of memory, the fallback is brought
 * to the same state from the sequences' journals, and the call that failed runs there. Callers notice nothing but a log
 * line: no token is lost or doubled. Once gone, the primary is not asked again.
 */
import type {
  Backend,
  BackendName,
  BranchOptions,
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
import type { ModelConfig } from "../model/config.ts";
import type { Reclaimable } from "../port/reclaimable.ts";
import type { ChainOptions, MadeToken, TokenChain, TokenMaker } from "../port/chain.ts";
import { checkSequenceOptions } from "../port/checks.ts";
import { OpenSequences } from "../port/sequences.ts";
import { FailoverChain } from "./chain.ts";
import type { Home, Journal } from "./journal.ts";
import { FailoverRow, FailoverSequence, innerOf, note } from "./rows.ts";
import { watched, type Watchdog } from "./watchdog.ts";

/** Failures that another backend may not have. */
export function isGone(error: unknown): boolean {
  return error instanceof FathomError && (error.code === "unavailable" || error.code === "out_of_memory");
}

/** A backend that goes over to another where the first fails, in the middle of a completion, with the same tokens. */
export class FailoverBackend<P extends Backend = Backend> implements Backend {
  readonly #primary: P;
  readonly #openFallback: () => Promise<Backend>;
  readonly #log: (line: string) => void;
  readonly #watchdog: Watchdog | undefined;
  readonly #sequences = new OpenSequences<FailoverSequence, FailoverRow>(this);
  readonly #kept: Reclaimable[] = [];
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

  get exitGate(): Backend["exitGate"] {
    return this.#active.exitGate;
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

  sequenceBytes(options: SequenceOptions, start?: number): number {
    return this.#active.sequenceBytes(options, start);
  }

  /** Where the primary has gone away, or has no room for it, the sequence opens on the fallback, at its first call. */
  openSequence(options: SequenceOptions): Sequence {
    checkSequenceOptions(options, this.config);
    const home = this.#isLeaving ? undefined : this.#tryOpen(this.#active, (backend) => backend.openSequence(options));
    return this.#sequences.add(new FailoverSequence(options, home));
  }

  /** Opens a branch as openSequence does: one of a sequence that has to move opens where that one arrives. */
  branch(parent: Sequence, options: BranchOptions): Sequence {
    const { parent: own, options: all } = this.#sequences.branchable(parent, options);
    if (own.failure !== undefined) throw own.failure;
    const { home } = own;
    const moves = home === undefined || (this.#isLeaving && home.backend === this.#primary);
    return this.#sequences.add(
      new FailoverSequence(all, moves ? undefined : this.#tryOpen(home.backend, (backend) => backend.branch(home.inner, all)), own),
    );
  }

  closeSequence(sequence: Sequence): void {
    this.#sequences.close(sequence)?.sequence.close();
  }

  truncate(sequence: Sequence, length: number): void {
    this.#sequences.cuttable(sequence, length).truncate(length);
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

  countReclaimable(kept: Reclaimable): void {
    this.#kept.push(kept);
    this.#active.countReclaimable?.(kept);
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
  #tryOpen(backend: Backend, open: (backend: Backend) => Sequence): Home | undefined {
    try {
      return { backend, inner: open(backend) };
    } catch (error) {
      if (backend !== this.#primary || !isGone(error)) throw error;
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
    const moved = new Set<Journal>();
    for (const { journal } of this.#sequences) {
      if (moved.has(journal)) continue;
      moved.add(journal);
      await journal.move(fallback);
    }
    for (const kept of this.#kept) fallback.countReclaimable?.(kept);
    this.#active = fallback;
  }
}
