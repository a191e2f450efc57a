/**
 * Tokens made wholly on the device: embedding, every iteration, the exit test, coda, head and argmax of several tokens
 * in one submit, read back once. Rows that exit leave the list, so the iterations that remain do nothing.
 * Not here: sampling, log-probabilities, rules that read logits; those take the port, step by step.
 */
/// <reference types="@webgpu/types" />
import type { LatentState, MaybePromise } from "../engine/port/backend.ts";
import type { ChainOptions, MadeToken, TokenChain } from "../engine/port/chain.ts";
import { FathomError } from "../engine/errors.ts";
import { notFinite, requireNumber } from "../engine/finite.ts";
import type { ExitCriterion, ExitRule } from "../engine/exit-rule.ts";
import { recordRuns, type Context, type Run } from "./context.ts";
import { NONE, ROW } from "./layout.ts";
import { fieldPacker } from "./pack.ts";
import type { Region } from "./arena.ts";
import { ROW_FIELDS, START, type GpuRow } from "./pool.ts";
import type { FusedCore } from "./program.ts";
import type { GpuSequence } from "./sequence.ts";
import { declarationsIn } from "./shader.ts";

const exitTest = declarationsIn("parts/exit-test");

/** Exit criteria that the device decides. Of a single row some are the same. */
const RULES: Readonly<Partial<Record<ExitCriterion, number>>> = {
  none: exitTest.constant("RULE_NONE"),
  "latent-diff": exitTest.constant("RULE_LATENT_DIFF"),
  prefix: exitTest.constant("RULE_LATENT_DIFF"),
  "rest-wake": exitTest.constant("RULE_LATENT_DIFF"),
  cosine: exitTest.constant("RULE_COSINE"),
};

const log = declarationsIn("parts/log");

/** Words of a token's entry in the log; its exit values are the last, as many as were checked. */
const LOG = {
  limit: log.constant("LOG_LIMIT"),
  token: log.constant("LOG_TOKEN"),
  iterations: log.constant("LOG_ITERATIONS"),
  exited: log.constant("LOG_EXITED"),
  checks: log.constant("LOG_CHECKS"),
  values: log.constant("LOG_VALUES"),
};

/** What a row needs to generate by itself, and where a chunk's tokens go. */
const chainPacker = fieldPacker(ROW, [
  ...ROW_FIELDS,
  ...(["rule", "threshold", "min_iterations", "check_every", "limit", "warm", "left"] as const),
]);
const logPacker = fieldPacker(ROW, ["log_at", "log_stride", "stops_at", "stops"]);

/** Whether the device can test an exit rule: it knows the criterion, and can hold the rule's numbers. */
export function decidesOnDevice({ criterion, threshold, minIterations = 0, checkEvery = 1 }: ExitRule): boolean {
  return RULES[criterion] !== undefined && !Number.isNaN(threshold) && isWord(minIterations) && isWord(checkEvery);
}

function isWord(value: number): boolean {
  return value >>> 0 === value;
}

/** A sequence whose next tokens the device makes by itself, a chunk at a time. */
export class Chain implements TokenChain {
  readonly #options: ChainOptions;
  readonly #slot: number;
  readonly sequence: GpuSequence;
  /** Positions handed to the device, and positions known to be done. */
  #submitted: number;
  #left: number;

  /** @param row of the options, checked */
  constructor(context: Context, { slot, sequence, position }: GpuRow, options: ChainOptions) {
    const { exit, maxTokens, warmStart, stopTokens } = options;
    if (position + 1 !== sequence.length)
      throw new FathomError("invalid_request", "A chain goes on from the last position of its sequence.");
    this.#options = options;
    this.#slot = slot;
    this.sequence = sequence;
    this.#submitted = position + 1;
    this.#left = Math.min(maxTokens, sequence.end - sequence.length);
    const normalised = warmStart === "normalised" && context.config.recurrence.finalNorm.includes("coda");
    const given = warmStart !== "off" || options.initialState(position + 1) !== undefined;
    const start = normalised ? START.normalised : given ? START.given : START.zero;
    context.pool.describe(slot, chainPacker, {
      position: position + 1,
      token: options.token,
      iteration: 0,
      start,
      ...sequence.rowFields,
      attended_at: NONE,
      rule: RULES[exit.criterion]!,
      threshold: exit.threshold,
      min_iterations: exit.minIterations ?? 0,
      check_every: exit.checkEvery ?? 1,
      limit: 0,
      warm: start,
      left: this.#left,
    });
    this.stops = [...stopTokens];
  }

  readonly stops: readonly number[];

  get slot(): number {
    return this.#slot;
  }

  /** Tokens that may still be asked for. */
  get left(): number {
    return this.#left;
  }

  /** Takes the next positions; their initial states, where there are any. */
  take(count: number): (LatentState | undefined)[] {
    const first = this.#submitted;
    this.#submitted += count;
    this.#left -= count;
    const { warmStart, initialState } = this.#options;
    return Array.from({ length: count }, (_, k) => (warmStart === "off" ? initialState(first + k) : undefined));
  }

  /** Mirrors on the host what a token has left in the cache. */
  note(token: MadeToken, coreLayers: number, codaLayers: number): void {
    const position = this.sequence.length++;
    if (token.iterations > 0) this.sequence.noteWritten("core", coreLayers - 1, position, token.iterations - 1);
    if (codaLayers > 0) this.sequence.noteWritten("coda", 0, position, 0);
  }
}

/**
 * Makes the next tokens of several chains in one submit, and reads them back once. May be called again before the
 * answer is there: the device goes on from what it has. A chain ends with a stop token; later tokens are not made.
 * @param limits most iterations of each token to make, one list a chain
 * @param core how they run the core
 * @throws {FathomError} unavailable, out_of_memory
 */
export async function makeTokens(
  context: Context,
  chains: readonly Chain[],
  limits: readonly (readonly number[])[],
  core: MaybePromise<FusedCore>,
): Promise<MadeToken[][]> {
  const { pool, device, shared, config, steps } = context;
  chains.forEach((chain, c) => checkLimits(chain, limits[c]!));
  const starts = chains.map((chain, c) => chain.take(limits[c]!.length));
  const fusedCore = await core;
  if (chains.some((chain) => chain.sequence.isClosed)) throw new FathomError("invalid_request", "A chain's sequence was closed under it.");
  pool.ensureCall(chains.length);
  pool.ensureResults(4 * config.vocabSize * chains.length);
  const { region, count, stride, stops } = writeLog(context, chains, limits);
  const slots = chains.map((chain) => chain.slot);
  pool.list("call", slots);
  pool.list("core", slots);
  const range = { buffer: steps.buffer, offset: region.offset, bytes: 4 * chains.length * count * stride };
  const initial = uploadStates(context, starts.flat());
  const answer = device.read([range], (encoder) => {
    for (let k = 0; k < count; k++) {
      chains.forEach((chain, c) => {
        const at = initial?.offsets.get(starts[c]![k]);
        if (at !== undefined)
          encoder.copyBufferToBuffer(
            initial!.buffer,
            at,
            shared.get("states"),
            pool.stateOffset(chain.slot, context.states.state),
            4 * config.width,
          );
      });
      recordRuns(context, encoder, tokenRuns(context, fusedCore, chains.length, Math.max(0, ...limits.map((own) => own[k] ?? 0))));
    }
  });
  steps.free(region); // what is written there later comes after the copy
  if (initial !== undefined) device.destroy(initial.buffer);
  const words = new Uint32Array(await answer);
  return chains.map((chain, c) => {
    const tokens = readLog(words.subarray(c * count * stride, (c + 1) * count * stride), stride, limits[c]!.length, new Set(stops[c]));
    requireFiniteTokens(tokens, config.vocabSize);
    for (const token of tokens) chain.note(token, config.coreLayers, config.codaLayers);
    return tokens;
  });
}

interface TokenLog {
  readonly region: Region;
  /** Tokens a chain. */
  readonly count: number;
  /** Words of a token's entry. */
  readonly stride: number;
  /** Stop tokens of each chain. */
  readonly stops: readonly (readonly number[])[];
}

/**
 * Writes the log of a submit into `steps`, [chains, count, stride] u32 with the stop tokens behind it, and tells each
 * chain's row where its part is: limits go in, tokens and their exit values come out.
 */
function writeLog({ pool, device, steps }: Context, chains: readonly Chain[], limits: readonly (readonly number[])[]): TokenLog {
  const count = Math.max(...limits.map((own) => own.length));
  const stride = LOG.values + Math.max(1, ...limits.flat());
  const stops = chains.map((chain) => chain.stops);
  const entries = new Uint32Array(chains.length * count * stride + stops.flat().length);
  const region = steps.allocate(entries.byteLength);
  const base = region.offset / 4;
  let stopsAt = chains.length * count * stride;
  chains.forEach((chain, c) => {
    const first = c * count * stride;
    for (let k = 0; k < count; k++) entries[first + k * stride + LOG.limit] = limits[c]![k] ?? NONE;
    entries.set(stops[c]!, stopsAt);
    pool.describe(chain.slot, logPacker, {
      log_at: base + first,
      log_stride: stride,
      stops_at: base + stopsAt,
      stops: stops[c]!.length,
    });
    stopsAt += stops[c]!.length;
  });
  device.write(steps.buffer, region.offset, entries);
  return { region, count, stride, stops };
}

/** @throws {FathomError} invalid_request */
function checkLimits({ sequence, left }: Chain, limits: readonly number[]): void {
  const { maxIterations } = sequence.options;
  if (limits.length > left) throw new FathomError("invalid_request", `A chain has ${left} tokens left to make, not ${limits.length}.`);
  const bad = limits.find((limit) => !Number.isInteger(limit) || limit < 0 || limit > maxIterations);
  if (bad !== undefined)
    throw new FathomError(
      "invalid_request",
      `A token's limit is a whole number of iterations from 0 to ${maxIterations}, which the sequence was opened for, not ${bad}.`,
      "maxIterations",
    );
}

/** One token of every chain: at most `iterations` each. */
function tokenRuns({ programs }: Context, fusedCore: FusedCore, rows: number, iterations: number): Run[] {
  const { exitingIteration } = programs;
  const core = fusedCore === undefined ? Array.from({ length: iterations }, () => exitingIteration) : iterations > 0 ? [fusedCore] : [];
  return [
    [programs.beginToken, rows],
    [programs.prelude, rows],
    ...core.map((program): Run => [program, rows]),
    [programs.coda, rows],
    [programs.callHead, rows],
    [programs.finishToken, rows],
  ];
}

/** Initial states in a buffer of their own, for one submit. */
function uploadStates(
  { device, config }: Context,
  all: readonly (LatentState | undefined)[],
): { buffer: GPUBuffer; offsets: Map<LatentState | undefined, number> } | undefined {
  const states = all.filter((state) => state !== undefined);
  if (states.length === 0) return undefined;
  const buffer = device.storage("rows", 4 * config.width * states.length, "initial states");
  const offsets = new Map<LatentState | undefined, number>();
  states.forEach((state, i) => {
    offsets.set(state, 4 * config.width * i);
    device.write(buffer, 4 * config.width * i, state);
  });
  return { buffer, offsets };
}

/** finish_token.wgsl writes the vocabulary's size for a token whose logits are not finite. @throws {FathomError} not_finite */
function requireFiniteTokens(tokens: readonly MadeToken[], vocabSize: number): void {
  for (const { token, exitValues } of tokens) {
    exitValues.forEach(requireNumber);
    if (token >= vocabSize) throw notFinite("logits");
  }
}

function readLog(words: Uint32Array, stride: number, count: number, stops: ReadonlySet<number>): MadeToken[] {
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  const tokens: MadeToken[] = [];
  for (let k = 0; k < count; k++) {
    const at = k * stride;
    const checks = words[at + LOG.checks]!;
    tokens.push({
      token: words[at + LOG.token]!,
      iterations: words[at + LOG.iterations]!,
      exited: words[at + LOG.exited] === 1,
      exitValues: [...floats.subarray(at + LOG.values, at + LOG.values + checks)],
    });
    if (stops.has(tokens.at(-1)!.token)) break;
  }
  return tokens;
}
