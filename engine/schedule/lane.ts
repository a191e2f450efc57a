/**
 * A lane: one request's view of a shared backend. The calls that compute wait for the scheduler, which runs them
 * together with those of other lanes; the rest goes straight through, chains of a device's own making among it.
 */
import type {
  Backend,
  BackendName,
  LatentState,
  MaybePromise,
  MemoryLedger,
  Row,
  RowInput,
  Sequence,
  SequenceOptions,
  StateChange,
} from "../port/backend.ts";
import type { TokenMaker } from "../port/chain.ts";
import type { ModelConfig } from "../model/config.ts";

export type JobKind = "prelude" | "iterate" | "readout" | "argmax";

/** A call that a lane waits for: rows of one sequence, in causal order. */
export interface Job {
  readonly kind: JobKind;
  readonly lane: Lane;
  readonly sequence: Sequence;
  readonly coreLayers: number;
  readonly rows: readonly (Row | RowInput)[];
  readonly heads: readonly Row[];
  readonly deadlineMs: number;
  readonly arrival: number;
  readonly isOverdue: () => boolean;
  /** A failure of this job must not take others with it. */
  readonly runAlone: boolean;
  /** Rows that have run. */
  done: number;
  state: "waiting" | "done" | "failed";
  /** Why it failed. */
  error?: unknown;
  /** prelude: the rows made so far. */
  readonly made: Row[];
  /** readout: logits by head. */
  readonly logits: Map<Row, Float32Array>;
  /** argmax: tokens by head. */
  readonly tokens: Map<Row, number>;
}

type JobResult = Pick<Job, "made" | "logits" | "tokens">;

/** A lane's way to its scheduler. */
export interface LaneHooks {
  /** Resolves when the job is done, rejects with its error. */
  run(job: Omit<Job, "deadlineMs" | "arrival" | "isOverdue">): Promise<void>;
  active(isActive: boolean): void;
}

export class Lane implements Backend {
  readonly #backend: Backend;
  readonly #hooks: LaneHooks;
  #open = 0;
  /** Whether a job of this lane waits for a call. */
  waiting = false;
  readonly pressure?: (rows: readonly Row[], moved: Float32Array) => MaybePromise<Float32Array>;
  readonly argmax?: (rows: readonly Row[], heads: readonly Row[]) => Promise<number[]>;
  readonly openChain?: TokenMaker["openChain"];
  readonly makeTokens?: TokenMaker["makeTokens"];

  constructor(backend: Backend, hooks: LaneHooks) {
    this.#backend = backend;
    this.#hooks = hooks;
    if (backend.pressure !== undefined) this.pressure = (rows, moved) => backend.pressure!(rows, moved);
    if (backend.argmax !== undefined)
      this.argmax = async (rows, heads) => {
        const { tokens } = await this.#wait("argmax", rows, heads);
        return heads.map((head) => tokens.get(head)!);
      };
    if (backend.openChain === undefined || backend.makeTokens === undefined) return;
    this.openChain = (options) => backend.openChain!(options);
    this.makeTokens = (chains, limits) => this.#whileAway(backend.makeTokens!(chains, limits));
  }

  get name(): BackendName {
    return this.#backend.name;
  }

  get config(): ModelConfig {
    return this.#backend.config;
  }

  get maxRows(): number {
    return this.#backend.maxRows;
  }

  async prelude(inputs: readonly RowInput[]): Promise<Row[]> {
    return (await this.#wait("prelude", inputs)).made;
  }

  async iterate(rows: readonly Row[]): Promise<void> {
    await this.#wait("iterate", rows);
  }

  async readout(rows: readonly Row[], heads: readonly Row[]): Promise<Float32Array[]> {
    const { logits } = await this.#wait("readout", rows, heads);
    return heads.map((head) => logits.get(head)!);
  }

  measure(rows: readonly Row[]): MaybePromise<StateChange[]> {
    return this.#backend.measure(rows);
  }

  latent(row: Row, form: "raw" | "normalised"): MaybePromise<LatentState> {
    return this.#backend.latent(row, form);
  }

  release(rows: readonly Row[]): void {
    this.#backend.release(rows);
  }

  sequenceBytes(options: SequenceOptions): number {
    return this.#backend.sequenceBytes(options);
  }

  openSequence(options: SequenceOptions): Sequence {
    const sequence = this.#backend.openSequence(options);
    this.#open++;
    this.#hooks.active(true);
    return sequence;
  }

  closeSequence(sequence: Sequence): void {
    this.#backend.closeSequence(sequence);
    if (--this.#open === 0) this.#hooks.active(false);
  }

  truncate(sequence: Sequence, length: number): void {
    this.#backend.truncate(sequence, length);
  }

  memory(): MemoryLedger {
    return this.#backend.memory();
  }

  /** Others need not wait for a lane whose device is at work on its own. */
  async #whileAway<T>(work: Promise<T>): Promise<T> {
    this.#hooks.active(false);
    try {
      return await work;
    } finally {
      if (this.#open > 0) this.#hooks.active(true);
    }
  }

  async #wait(kind: JobKind, rows: readonly (Row | RowInput)[], heads: readonly Row[] = []): Promise<JobResult> {
    const result: JobResult = { made: [], logits: new Map(), tokens: new Map() };
    const [first] = rows;
    if (first === undefined) return result;
    await this.#hooks.run({
      kind,
      lane: this,
      sequence: first.sequence,
      coreLayers: this.config.coreLayers,
      rows,
      heads,
      // the one strategy that may fail midway, and a prompt whose tokens have not been checked yet
      runAlone: first.sequence.options.cache.lookup === "strict" || (kind === "prelude" && rows.some((row) => !this.#isValid(row.token))),
      done: 0,
      state: "waiting",
      ...result,
    });
    return result;
  }

  #isValid(token: number): boolean {
    return Number.isInteger(token) && token >= 0 && token < this.config.vocabSize;
  }
}
