/**
 * A backend that computes nothing and takes time: every call costs what its rows cost, on the simulated host's thread.
 * Each request's prompt says what it is: whose it is, how deep it must be thought about, how long its answer is. An
 * answer's tokens tell whether it was thought about deeply enough. Keeps an account of who was served when.
 */
import type {
  Backend,
  BranchOptions,
  LatentState,
  MemoryLedger,
  Row,
  RowInput,
  Sequence,
  SequenceOptions,
  StateChange,
} from "../../engine/port/backend.ts";
import type { CostWeights } from "../../engine/budget/cost.ts";
import { FathomError } from "../../engine/errors.ts";
import type { ModelConfig } from "../../engine/model/config.ts";
import { OpenSequences } from "../../engine/port/sequences.ts";
import { uniform } from "../../engine/random.ts";
import type { SimulatedHost } from "./host.ts";

/** A prompt's first tokens; the others say nothing. */
export interface PromptHead {
  /** Number of the request. */
  readonly id: number;
  /** Iterations after which its last row stands still by the careful rule. */
  readonly need: number;
  /** Tokens of its answer, the stop token among them; at least 2. */
  readonly answer: number;
  /** Tokens of the prompt, at least 4. */
  readonly rows: number;
}

/** Tokens that stand for themselves: the stop token, and an answer thought about deeply enough, or not. */
export const TOKENS = { stop: 1, right: 1000, wrong: 1001 } as const;

export function promptOf({ id, need, answer, rows }: PromptHead): number[] {
  return [id, need, answer, rows, ...Array.from({ length: rows - 4 }, (_, i) => 3 + (i % 900))];
}

/** Share of its need after which a row's prediction is right. */
const RIGHT_AT = 0.4;
/** Movement of a row before its first iteration, and when it stands still. */
const [FIRST_MOVEMENT, STILL] = [2, 0.2];
const BYTES_PER_POSITION = 4096;

interface SimSequence extends Sequence {
  length: number;
  /** The prompt's first tokens, as far as they have come in. */
  readonly head: number[];
  readonly bytes: number;
}

interface SimRow extends Row {
  iterations: number;
  readonly sequence: SimSequence;
}

export interface SimulatedBackendOptions {
  readonly weights: CostWeights;
  /** Milliseconds of 1e9 multiply-adds, for each call. */
  readonly msPerUnit: () => number;
  readonly limitBytes: number;
  /** Told what each request got of a call, in milliseconds, when it has ended. */
  readonly onServed: (id: number, ms: number) => void;
}

export class SimulatedBackend implements Backend {
  readonly name = "wasm";
  readonly maxRows = Infinity;
  readonly config: ModelConfig;
  readonly #host: SimulatedHost;
  readonly #options: SimulatedBackendOptions;
  readonly #sequences = new OpenSequences<SimSequence, SimRow>(this);
  #usedBytes = 0;
  /** Longest call so far, in milliseconds. */
  longestMs = 0;

  constructor(config: ModelConfig, host: SimulatedHost, options: SimulatedBackendOptions) {
    this.config = config;
    this.#host = host;
    this.#options = options;
  }

  sequenceBytes({ capacity, rows = capacity, prompt = 0 }: SequenceOptions): number {
    return (capacity + rows + prompt) * BYTES_PER_POSITION;
  }

  openSequence(options: SequenceOptions): Sequence {
    return this.#open(options, undefined);
  }

  branch(parent: Sequence, options: BranchOptions): Sequence {
    const { parent: own, options: all } = this.#sequences.branchable(parent, options);
    return this.#open(all, own);
  }

  closeSequence(sequence: Sequence): void {
    const closed = this.#sequences.close(sequence);
    if (closed !== undefined) this.#usedBytes -= closed.sequence.bytes;
  }

  truncate(sequence: Sequence, length: number): void {
    const own = this.#sequences.cuttable(sequence, length);
    own.length = Math.min(own.length, length);
  }

  prelude(inputs: readonly RowInput[]): Row[] {
    const places = this.#sequences.place(inputs);
    const rows = places.map(({ sequence, position, token }): SimRow => {
      sequence.length = position + 1;
      if (position < 4) sequence.head[position] = token;
      return { sequence, position, token, iterations: 0 };
    });
    const { preludeLayers } = this.config;
    const { prelude, attention } = this.#options.weights;
    this.#charge(rows, (row) => preludeLayers * (prelude * this.#blockMacs + attention * this.#attentionMacs(row)));
    this.#sequences.enter(rows);
    return rows;
  }

  iterate(rows: readonly Row[]): void {
    const own = this.#sequences.iterable(rows);
    const { width, coreLayers } = this.config;
    const { attention } = this.#options.weights;
    this.#charge(own, (row) => 2 * width * width + coreLayers * (this.#blockMacs + attention * this.#attentionMacs(row)));
    for (const row of own) row.iterations++;
  }

  measure(rows: readonly Row[]): StateChange[] {
    const own = this.#sequences.rows(rows);
    this.#charge(own, () => this.#options.weights.check * 4 * this.config.width);
    return own.map((row) => ({ distance: movementOf(row), norm: 1, previousNorm: 1, dot: 1 }));
  }

  pressure(rows: readonly Row[], moved: Float32Array): Float32Array {
    const own = this.#sequences.watched(rows, moved);
    this.#charge(own, (row) => this.#options.weights.gather * 2 * row.position);
    return new Float32Array(rows.length);
  }

  readout(rows: readonly Row[], heads: readonly Row[], tokens?: readonly number[]): Float32Array[] {
    return this.argmax(rows, heads).map((token) => {
      const logits = new Float32Array(this.config.vocabSize);
      logits[token] = 1;
      return tokens === undefined ? logits : Float32Array.from(tokens, (t) => logits[t]!);
    });
  }

  argmax(rows: readonly Row[], heads: readonly Row[]): number[] {
    const own = this.#sequences.readable(rows, heads);
    const { width, vocabSize } = this.config;
    const { coda, head } = this.#options.weights;
    const macs = (row: SimRow): number =>
      own.heads.includes(row) ? coda * this.#blockMacs + head * vocabSize * width : coda * 2 * width * width;
    this.#charge(own.rows, macs);
    return own.heads.map(tokenAfter);
  }

  latent(): LatentState {
    return new Float32Array(this.config.width);
  }

  release(rows: readonly Row[]): void {
    this.#sequences.leave(rows);
  }

  memory(): MemoryLedger {
    const { limitBytes } = this.#options;
    return { usedBytes: this.#usedBytes, peakBytes: this.#usedBytes, limitBytes, owners: { "kv cache": this.#usedBytes } };
  }

  #open(options: SequenceOptions, parent: SimSequence | undefined): SimSequence {
    const bytes = this.sequenceBytes(options);
    if (this.#usedBytes + bytes > this.#options.limitBytes) throw new FathomError("out_of_memory", `There is no room for ${bytes} bytes.`);
    this.#usedBytes += bytes;
    const start = parent?.length ?? 0;
    return this.#sequences.add({ options, parent, start, length: start, head: parent?.head ?? [], bytes });
  }

  get #blockMacs(): number {
    const { width, heads, kvHeads, headDim, mlpWidth } = this.config;
    return 2 * heads * headDim * width + 2 * kvHeads * headDim * width + 3 * mlpWidth * width;
  }

  #attentionMacs({ position }: SimRow): number {
    return 2 * this.config.heads * this.config.headDim * (position + 1);
  }

  /** Takes a call's time, and says who got what of it. */
  #charge(rows: readonly SimRow[], macsOf: (row: SimRow) => number): void {
    const { weights, msPerUnit, onServed } = this.#options;
    const rate = msPerUnit() / 1e9;
    const each = new Map<number, number>();
    for (const row of rows) {
      const [id] = row.sequence.head as [number];
      each.set(id, (each.get(id) ?? 0) + (macsOf(row) + weights.call / rows.length) * rate);
    }
    const ms = [...each.values()].reduce((sum, part) => sum + part, 0);
    this.longestMs = Math.max(this.longestMs, ms);
    this.#host.work(ms);
    for (const [id, part] of each) onServed(id, part);
  }
}

/** Rows of a prompt need less than its last one, each its own share; a new token needs about half. */
function needOf({ sequence, position }: SimRow): number {
  const [id, need, , rows] = sequence.head as [number, number, number, number];
  const share = position >= rows ? 0.5 : position === rows - 1 ? 1 : 0.3 + 0.6 * uniform(id, position, 0);
  return Math.max(1, Math.ceil(need * share));
}

function movementOf(row: SimRow): number {
  return FIRST_MOVEMENT * (STILL / FIRST_MOVEMENT) ** ((row.iterations + 0.01) / needOf(row));
}

/** What the model says after a row. */
function tokenAfter(row: SimRow): number {
  const [, , answer, rows] = row.sequence.head as [number, number, number, number];
  if (row.position - rows + 2 >= answer) return TOKENS.stop;
  return row.iterations >= RIGHT_AT * needOf(row) ? TOKENS.right : TOKENS.wrong;
}
