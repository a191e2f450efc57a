/**
 * A lane: one request's view of a shared backend. The calls that compute wait for the scheduler, which runs them
 * together with those of other lanes; the rest goes straight through, chains of a device's own making among it. What is
 * wrong with a call is found before it waits; sequences of other lanes are foreign to it.
 */
import type {
  Backend,
  BackendName,
  BranchOptions,
  LatentState,
  MaybePromise,
  MemoryLedger,
  Row,
  RowInput,
  Sequence,
  SequenceOptions,
  StateChange,
} from "../port/backend.ts";
import type { CacheStrategy } from "../cache-strategy.ts";
import type { TokenMaker } from "../port/chain.ts";
import { FathomError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import { OpenSequences } from "../port/sequences.ts";
import type { JobKind, JobRequest } from "./job.ts";

/** What a job has besides its rows. */
type JobDetails = Pick<JobRequest, "heads" | "only" | "made" | "logits" | "tokens">;

/** A lane's way to its scheduler. */
export interface LaneHooks {
  /** Resolves when the job is done, rejects with its error. */
  run(job: JobRequest): Promise<void>;
  active(isActive: boolean): void;
  /** Rows that were looked at without a call that others share. */
  looked(kind: "measure" | "pressure", rows: readonly Row[]): void;
  /** Takes a sequence that is anybody's from now on, to branch. */
  share(sequence: Sequence): void;
  isShared(sequence: Sequence): boolean;
  /** Gives back bytes that no request needs. @returns whether there were as many */
  makeRoom(bytes: number): boolean;
}

/** A backend of one request, over one that it shares with others. */
export interface SharingBackend extends Backend {
  /**
   * Leaves an open sequence, none of whose rows is in flight, to the shared backend: any lane may open branches of it
   * afterwards, none may do anything else with it, and whoever asked for this closes it there.
   * @throws {FathomError} invalid_request
   */
  handOver(sequence: Sequence): void;
}

export class Lane implements SharingBackend {
  readonly #backend: Backend;
  readonly #hooks: LaneHooks;
  readonly #sequences = new OpenSequences<Sequence, Row>(this);
  readonly pressure?: (rows: readonly Row[], moved: Float32Array) => MaybePromise<Float32Array>;
  readonly recall?: NonNullable<Backend["recall"]>;
  readonly argmax?: (rows: readonly Row[], heads: readonly Row[]) => Promise<number[]>;
  readonly openChain?: TokenMaker["openChain"];
  readonly makeTokens?: TokenMaker["makeTokens"];

  constructor(backend: Backend, hooks: LaneHooks) {
    this.#backend = backend;
    this.#hooks = hooks;
    if (backend.pressure !== undefined)
      this.pressure = (rows, moved) => {
        const own = this.#sequences.watched(rows, moved);
        this.#hooks.looked("pressure", own);
        return backend.pressure!(own, moved);
      };
    if (backend.recall !== undefined)
      this.recall = (sequence, iterations) => backend.recall!(this.#sequences.recallable(sequence, iterations), iterations);
    if (backend.argmax !== undefined)
      this.argmax = async (rows, heads) => {
        const own = this.#sequences.readable(rows, heads);
        const tokens = new Map<Row, number>();
        await this.#wait("argmax", own.rows, { heads: own.heads, tokens });
        return heads.map((head) => tokens.get(head)!);
      };
    if (backend.openChain === undefined || backend.makeTokens === undefined) return;
    this.openChain = (options) => {
      const row = this.#sequences.rows([options.row]);
      this.#sequences.extendable(options.row.sequence);
      const chain = backend.openChain!(options);
      if (chain !== undefined) this.#sequences.leave(row);
      return chain;
    };
    this.makeTokens = async (chains, limits) => {
      for (const { sequence } of chains) this.#sequences.own(sequence);
      return this.#whileAway(backend.makeTokens!(chains, limits));
    };
  }

  get name(): BackendName {
    return this.#backend.name;
  }

  get config(): ModelConfig {
    return this.#backend.config;
  }

  get exitGate(): Backend["exitGate"] {
    return this.#backend.exitGate;
  }

  /** A wide call takes several of the backend's, where its cache strategy lets it be split. */
  get maxRows(): number {
    return Infinity;
  }

  async prelude(inputs: readonly RowInput[]): Promise<Row[]> {
    const places = this.#sequences.place(inputs);
    const lengths = new Map(places.map(({ sequence }) => [sequence, sequence.length]));
    const made: Row[] = [];
    try {
      await this.#wait("prelude", inputs, { made });
    } catch (error) {
      this.#takeBack(made, lengths);
      throw error;
    }
    this.#sequences.enter(made);
    return made;
  }

  async iterate(rows: readonly Row[]): Promise<void> {
    await this.#wait("iterate", this.#sequences.iterable(rows));
  }

  async readout(rows: readonly Row[], heads: readonly Row[], tokens?: readonly number[]): Promise<Float32Array[]> {
    const own = this.#sequences.readable(rows, heads, tokens);
    const logits = new Map<Row, Float32Array>();
    await this.#wait("readout", own.rows, { heads: own.heads, logits, only: tokens?.slice() });
    return heads.map((head) => logits.get(head)!);
  }

  measure(rows: readonly Row[]): MaybePromise<StateChange[]> {
    const own = this.#sequences.rows(rows);
    this.#hooks.looked("measure", own);
    return this.#backend.measure(own);
  }

  latent(row: Row, form: "raw" | "normalised"): MaybePromise<LatentState> {
    return this.#backend.latent(this.#sequences.rows([row])[0]!, form);
  }

  release(rows: readonly Row[]): void {
    this.#backend.release(this.#sequences.leave(rows));
  }

  sequenceBytes(options: SequenceOptions, start?: number): number {
    return this.#backend.sequenceBytes(options, start);
  }

  openSequence(options: SequenceOptions): Sequence {
    const sequence = this.#sequences.add(this.#withRoom(options, 0, () => this.#backend.openSequence(options)));
    this.#hooks.active(true);
    return sequence;
  }

  branch(parent: Sequence, options: BranchOptions): Sequence {
    const own = this.#hooks.isShared(parent) ? parent : this.#sequences.own(parent);
    const { maxIterations, cache } = own.options;
    const { from = own.length } = options;
    const all = { maxIterations, ...options, cache };
    const branch = this.#sequences.add(this.#withRoom(all, from, () => this.#backend.branch(own, options)));
    this.#hooks.active(true);
    return branch;
  }

  handOver(sequence: Sequence): void {
    this.#hooks.share(this.#sequences.handOver(sequence));
    this.#backend.setAside?.(sequence);
    if (this.#sequences.size === 0) this.#hooks.active(false);
  }

  /** What nobody needs goes before a request is refused. */
  #withRoom<T>(options: SequenceOptions, start: number, open: () => T): T {
    for (;;) {
      try {
        return open();
      } catch (error) {
        const isFull = error instanceof FathomError && error.code === "out_of_memory" && error.isTransient;
        if (!isFull) throw error;
        const { limitBytes, usedBytes } = this.memory();
        const missing = this.sequenceBytes(options, start) - (limitBytes - usedBytes);
        if (!this.#hooks.makeRoom(Math.max(1, missing))) throw error;
      }
    }
  }

  closeSequence(sequence: Sequence): void {
    if (this.#sequences.close(sequence) === undefined) return;
    this.#backend.closeSequence(sequence);
    if (this.#sequences.size === 0) this.#hooks.active(false);
  }

  truncate(sequence: Sequence, length: number): void {
    this.#backend.truncate(this.#sequences.cuttable(sequence, length), length);
  }

  memory(): MemoryLedger {
    return this.#backend.memory();
  }

  /** Awaits a device at work on its own; other lanes need not wait for this one meanwhile. */
  async #whileAway<T>(work: Promise<T>): Promise<T> {
    this.#hooks.active(false);
    try {
      return await work;
    } finally {
      if (this.#sequences.size > 0) this.#hooks.active(true);
    }
  }

  async #wait(
    kind: JobKind,
    rows: readonly (Row | RowInput)[],
    { heads = [], only, made = [], logits = new Map(), tokens = new Map() }: Partial<JobDetails> = {},
  ): Promise<void> {
    if (rows.length === 0) return;
    const canSplit = rows.every(({ sequence }) => isSplittable(sequence.options.cache, this.config.coreLayers));
    await this.#hooks.run({ kind, rows: causal(rows), heads, only, canSplit, made, logits, tokens });
  }

  /** Undoes the parts of a prelude that had run when another failed. */
  #takeBack(made: readonly Row[], lengths: ReadonlyMap<Sequence, number>): void {
    if (made.length === 0) return;
    this.#backend.release(made);
    for (const sequence of this.#sequences) if (lengths.has(sequence)) this.#backend.truncate(sequence, lengths.get(sequence)!);
  }
}

/** Rows by position, so that what a row sees comes before it; inputs have their order already. */
function causal<T extends Row | RowInput>(rows: readonly T[]): readonly T[] {
  const at = (row: T): number => ("position" in row ? row.position : 0);
  return rows.every((row, i) => i === 0 || at(rows[i - 1]!) <= at(row)) ? rows : rows.toSorted((a, b) => at(a) - at(b));
}

/**
 * Whether part of a call's rows may run before the rest. Rows attend to the left only, so the left part needs nothing
 * of the right one; but where layers of one iteration share a slot, the left part would have overwritten what the right
 * part must read, and a strategy without lookup may refuse the right part when the left one has run.
 */
function isSplittable({ sharing, lookup }: CacheStrategy, coreLayers: number): boolean {
  if (lookup === "always-last" || lookup === "randomized" || lookup === "strict") return false;
  return sharing.kind === "none" || (sharing.kind === "cyclic" && sharing.slots % coreLayers === 0);
}
