/**
 * The reference's diffusion-forcing sampler (arXiv 2510.14961), with its quirks: several future positions think at
 * once, their tokens are guessed again every step, and a freeze rule decides what is final. Fast, but its tokens are
 * not those of greedy decoding; engine/decode/wavefront.ts is. Batch 1.
 */
import type { Backend, Inspectable, LatentState, Sequence } from "../../../engine/port/backend.ts";
import type { CacheStrategy } from "../../../engine/cache-strategy.ts";
import { FathomError } from "../../../engine/errors.ts";
import { NEVER_EXIT } from "../../../engine/exit-rule.ts";
import { uniform } from "../../../engine/random.ts";
import { argmax } from "../../../engine/decode/exit.ts";
import { forward } from "../../../engine/decode/forward.ts";
import { blend, relativeChange } from "./states.ts";

export type FreezeStrategy = "latent-diff" | "token-stability" | "fixed";

export interface DiffusionOptions {
  readonly prompt: readonly number[];
  /** Loop until this many tokens are frozen; the last freeze may give more. */
  readonly maxTokens: number;
  /** Nominal iterations of a token. [default 32] */
  readonly iterations?: number;
  /** Iterations of an outer step. [default 4] */
  readonly innerIterations?: number;
  readonly cache: CacheStrategy;
  readonly stopTokens: ReadonlySet<number>;
  /** [default "latent-diff"] */
  readonly freeze?: FreezeStrategy;
  /** latent-diff: frozen below this relative change. [default 0.03] */
  readonly exitThreshold?: number;
  /** Positions that join at every step. [default 1] */
  readonly headway?: number;
  /** Most positions in flight; 0: no limit. [default 128] */
  readonly maxWavefront?: number;
  /** Share of the old embedding that is kept. [default 0.1] */
  readonly embeddingEma?: number;
  /** Share of fresh noise mixed into the states at every step. [default 0.5] */
  readonly noise?: number;
  /** Divide the noise by 1 + the position's iterations so far. [default true] */
  readonly dampenNoise?: boolean;
  /** Mix with square roots. [default false] */
  readonly squareRootMix?: boolean;
  /** Run the prompt to full depth first. [default true] */
  readonly fullPrefill?: boolean;
  /** New positions start from copies of the last states instead of fresh ones. [default false] */
  readonly continuousCompute?: boolean;
  /** Most outer steps. [default 4096] */
  readonly maxSteps?: number;
  /** The next fresh state, scaled like s_0: called once for every fresh state that is needed. */
  readonly freshState: () => LatentState;
}

/** What the reference counts. */
export interface DiffusionResult {
  /** Frozen tokens after the prompt. */
  readonly tokens: readonly number[];
  readonly steps: number;
  readonly coreForwardPasses: number;
  readonly tokensForward: number;
  readonly positionsCleared: number;
  readonly standingWaves: number;
  /** Tokens in flight at the end, frozen ones included. */
  readonly sequenceLength: number;
  /** Iterations run by position, and steps that left its token as it was. */
  readonly iterationsByPosition: readonly number[];
  readonly stabilityByPosition: readonly number[];
}

/** @throws {FathomError} invalid_request; where the authors' code crashes (fixed freeze against a full wavefront), that too */
export async function generateDiffusion(backend: Backend & Inspectable, options: DiffusionOptions): Promise<DiffusionResult> {
  const run = new Diffusion(backend, options);
  try {
    await run.begin();
    while (!run.finished) await run.step();
    return run.result();
  } finally {
    run.close();
  }
}

type Settled = Required<Omit<DiffusionOptions, "prompt" | "cache" | "stopTokens" | "freshState" | "maxTokens">>;

const DEFAULTS: Settled = {
  iterations: 32,
  innerIterations: 4,
  freeze: "latent-diff",
  exitThreshold: 0.03,
  headway: 1,
  maxWavefront: 128,
  embeddingEma: 0.1,
  noise: 0.5,
  dampenNoise: true,
  squareRootMix: false,
  fullPrefill: true,
  continuousCompute: false,
  maxSteps: 4096,
};

class Diffusion {
  readonly #backend: Backend & Inspectable;
  readonly #options: DiffusionOptions;
  readonly #settings: Settled;
  readonly #sequence: Sequence;
  #frozen: number[];
  /** Frozen tokens and guesses. */
  #current: number[];
  /** States of positions cached .. cached + length - 1. */
  #states: LatentState[] = [];
  /** States at the end of the step before (already shifted: the reference's misalignment after an advance). */
  #previous: LatentState[] = [];
  #embedded: Float32Array[] = [];
  /** First position of `#embedded`, the cached length of the step before. */
  #previousCached = 0;
  #iterations: number[] = [];
  #stability: number[] = [];
  #stopped = false;
  readonly #count = { steps: 0, core: 0, tokens: 0, cleared: 0, standing: 0 };

  constructor(backend: Backend & Inspectable, options: DiffusionOptions) {
    this.#backend = backend;
    this.#options = options;
    this.#settings = { ...DEFAULTS, ...options };
    const { innerIterations, iterations, headway } = this.#settings;
    if (options.prompt.length === 0) throw new FathomError("empty_prompt", "The prompt is empty; give at least one token.", "prompt");
    if (!(innerIterations >= 1 && headway >= 1))
      throw new FathomError(
        "invalid_request",
        "Diffusion decoding needs at least one inner iteration and a headway of at least 1.",
        "innerIterations",
      );
    this.#frozen = [...options.prompt];
    this.#current = [...options.prompt];
    this.#sequence = backend.openSequence({
      capacity: backend.config.contextLength,
      maxIterations: Math.max(iterations, innerIterations),
      cache: options.cache,
    });
  }

  get finished(): boolean {
    const { maxTokens, prompt } = this.#options;
    const full = this.#current.length >= this.#backend.config.contextLength;
    return this.#stopped || full || this.#frozen.length - prompt.length >= maxTokens || this.#count.steps >= this.#settings.maxSteps;
  }

  close(): void {
    this.#backend.closeSequence(this.#sequence);
  }

  result(): DiffusionResult {
    const { steps, core, tokens, cleared, standing } = this.#count;
    return {
      tokens: this.#frozen.slice(this.#options.prompt.length),
      steps,
      coreForwardPasses: core,
      tokensForward: tokens,
      positionsCleared: cleared,
      standingWaves: standing,
      sequenceLength: this.#current.length,
      iterationsByPosition: this.#iterations,
      stabilityByPosition: this.#stability,
    };
  }

  async begin(): Promise<void> {
    const { prompt, freshState } = this.#options;
    const { fullPrefill, iterations, embeddingEma } = this.#settings;
    if (fullPrefill) {
      const rows = await this.#backend.prelude(prompt.map((token) => ({ sequence: this.#sequence, token, state: freshState() })));
      const { logits } = await forward(this.#backend, rows, { iterations, exit: NEVER_EXIT, isPrefill: true });
      this.#backend.release(rows);
      this.#frozen.push(argmax(logits));
      this.#current = [...this.#frozen];
      this.#states = [freshState()];
      for (let p = 0; p <= prompt.length; p++) this.#add(this.#iterations, p, iterations);
      this.#count.core++;
      this.#count.tokens += prompt.length;
    } else this.#states = prompt.map(() => freshState());
    this.#previous = this.#states;
    if (embeddingEma > 0) this.#embedded = await this.#embedUncached(this.#current);
  }

  /** One outer step: embed, mix in noise, iterate, guess again, extend, freeze. */
  async step(): Promise<void> {
    const cached = this.#sequence.length;
    const width = this.#states.length;
    await this.#think(cached);
    const advance = this.#extend(cached);
    const before = this.#frozen.length;
    const frozen = this.#freeze(cached, advance);
    this.#count.cleared += width - frozen;
    this.#backend.truncate(this.#sequence, cached + frozen);
    this.#states = this.#states.slice(frozen);
    this.#previous = this.#states;
    this.#previousCached = cached;
    const fresh = this.#frozen.slice(before);
    if (this.#count.steps > this.#settings.iterations && fresh.some((t) => this.#options.stopTokens.has(t))) this.#stopped = true;
    this.#count.steps++;
  }

  /** Runs the wavefront's rows, updates their states and every guess. */
  async #think(cached: number): Promise<void> {
    const { innerIterations, embeddingEma } = this.#settings;
    const backend = this.#backend;
    const states = this.#settings.noise > 0 ? this.#withNoise(cached) : this.#states;
    const rows = await backend.prelude(states.map((state, j) => ({ sequence: this.#sequence, token: this.#current[cached + j]!, state })));
    if (embeddingEma > 0) {
      const embedded: Float32Array[] = [];
      for (const [j, row] of rows.entries()) {
        const old = this.#embedded[cached - this.#previousCached + j];
        embedded.push(blend(await backend.embedded(row), 1 - embeddingEma, old, embeddingEma));
        await backend.setEmbedded(row, embedded[j]!);
      }
      this.#embedded = embedded;
    }
    for (let t = 0; t < innerIterations; t++) await backend.iterate(rows);
    this.#count.core += innerIterations;
    this.#count.tokens += innerIterations * rows.length;
    rows.forEach((_, j) => this.#add(this.#iterations, cached + j, innerIterations));
    const guessing = rows.slice(Math.max(this.#frozen.length - 1 - cached, 0));
    const guesses = (await backend.readout(rows, guessing)).map(argmax);
    this.#states = await Promise.all(rows.map((row) => backend.latent(row, "raw")));
    backend.release(rows);
    const next = [...this.#frozen, ...guesses];
    this.#current.forEach((token, p) => this.#add(this.#stability, p, token === next[p] ? 1 : 0));
    this.#current = next;
  }

  #withNoise(cached: number): LatentState[] {
    const { noise, dampenNoise, squareRootMix } = this.#settings;
    return this.#states.map((state, j) => {
      const a = dampenNoise ? noise / (1 + (this.#iterations[cached + j] ?? 0)) : noise;
      const fresh = this.#options.freshState();
      return squareRootMix ? blend(state, Math.sqrt(Math.max(1 - a, 0)), fresh, Math.sqrt(a)) : blend(state, 1 - a, fresh, a);
    });
  }

  /** Adds the next positions; returns how many were really added, 0 where the wavefront is full. */
  #extend(cached: number): number {
    const { headway, continuousCompute, maxWavefront } = this.#settings;
    const before = this.#states.length;
    const last = this.#states.slice(-headway);
    for (let i = 0; i < headway; i++) {
      this.#states.push(continuousCompute ? last[Math.min(i, last.length - 1)]! : this.#options.freshState());
      if (i > 0) this.#current.push(Math.floor(uniform(this.#count.steps, i, 0) * this.#backend.config.vocabSize));
    }
    if (maxWavefront === 0 || this.#states.length <= maxWavefront) return headway;
    this.#states.length = maxWavefront;
    this.#current.length = cached + maxWavefront;
    const added = Math.max(maxWavefront - before, 0);
    if (added === 0) this.#count.standing++;
    return added;
  }

  /** Freezes tokens; returns how many positions the cache may keep. */
  #freeze(cached: number, advance: number): number {
    const { freeze, iterations, innerIterations } = this.#settings;
    const patience = Math.floor(iterations / innerIterations);
    if (freeze === "fixed") {
      if (this.#count.steps <= patience) return 0;
      if (advance === 0)
        throw new FathomError(
          "invalid_request",
          "Diffusion decoding: a full wavefront adds no position, so a fixed freeze can go nowhere; use another freeze rule or a wider wavefront.",
          "maxWavefront",
        );
      this.#frozen = this.#current.slice(0, this.#frozen.length + advance);
      return advance;
    }
    const passes = freeze === "latent-diff" ? this.#lastSettled(cached) : this.#lastStable(cached, patience);
    if (passes === undefined) return 0;
    this.#frozen = this.#current.slice(0, cached + passes + 1);
    return passes;
  }

  /** Index in the wavefront of the last state that hardly moved; earlier ones need not have settled. */
  #lastSettled(cached: number): number | undefined {
    const previous = this.#previous.slice(cached - this.#previousCached);
    for (let j = Math.min(previous.length, this.#states.length) - 1; j >= 0; j--)
      if (relativeChange(this.#states[j]!, previous[j]!) < this.#settings.exitThreshold) return j;
    return undefined;
  }

  #lastStable(cached: number, patience: number): number | undefined {
    for (let p = this.#current.length - 1; p >= cached; p--) if ((this.#stability[p] ?? 0) > patience) return p - cached;
    return undefined;
  }

  #add(list: number[], position: number, amount: number): void {
    while (list.length <= position) list.push(0);
    list[position]! += amount;
  }

  /** Prelude outputs of tokens, in a sequence of their own. */
  async #embedUncached(tokens: readonly number[]): Promise<Float32Array[]> {
    const sequence = this.#backend.openSequence({ capacity: tokens.length, maxIterations: 1, cache: this.#options.cache });
    const rows = await this.#backend.prelude(tokens.map((token) => ({ sequence, token })));
    const embedded: Float32Array[] = [];
    for (const row of rows) embedded.push(await this.#backend.embedded(row));
    this.#backend.release(rows);
    this.#backend.closeSequence(sequence);
    return embedded;
  }
}
