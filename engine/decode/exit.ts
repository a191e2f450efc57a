/**
 * Exit rules of the reference (paper section 6.1): a value after every checked iteration and whether it says stop.
 * Latent rules read state changes, averaged over the call's positions; logit rules read the last position's logits
 * and so pay for coda and head at every check. Pure; the loop that applies them is forward.ts.
 */
import type { Backend, LatentState, MaybePromise, Row, StateChange } from "../port/backend.ts";
import { FathomError } from "../errors.ts";
import { mayExit, type ExitCriterion, type ExitRule } from "../exit-rule.ts";
import { requireFinite, requireNumber } from "../finite.ts";
import { movement } from "./rest.ts";

/** What a criterion looks at. Only `logits` costs coda and head; `states`, for `gate` the last row's, are copied to the host. */
export type ExitInput = "change" | "states" | "gate" | "logits" | "nothing";

export function exitInput(criterion: ExitCriterion): ExitInput {
  if (criterion === "none") return "nothing";
  if (criterion === "second-diff") return "states";
  if (criterion === "gate") return "gate";
  return CHANGE_CRITERIA.includes(criterion) ? "change" : "logits";
}

const CHANGE_CRITERIA: readonly ExitCriterion[] = ["latent-diff", "cosine", "prefix", "rest-wake"];

/** What an evaluator sees: of these, the one that its criterion asks for. */
export interface ExitView {
  /** One a row of the call. */
  readonly changes?: readonly StateChange[];
  /** One a row of the call. */
  readonly states?: readonly LatentState[];
  /** Logits of the call's last position, [vocabSize]. */
  readonly logits?: Float32Array;
  /** How likely the learned gate finds it that this iteration is the last position's last, if none before was. */
  readonly gate?: number;
}

/** Looks at rows after an iteration, for criteria that need no logits. */
export async function observe(backend: Backend, rows: readonly Row[], input: "change" | "states" | "gate"): Promise<ExitView> {
  if (input === "change") return { changes: await backend.measure(rows) };
  if (input === "gate") return { gate: gateOf(backend, await backend.latent(rows.at(-1)!, "raw")) };
  const states: MaybePromise<LatentState>[] = rows.map((row) => backend.latent(row, "raw"));
  return { states: await Promise.all(states) };
}

/** What a model's exit gate says of a state. @throws {FathomError} invalid_request where it has none */
export function gateOf({ exitGate }: Backend, state: LatentState): number {
  if (exitGate === undefined)
    throw new FathomError("invalid_request", "Exit rule gate needs a model with a learned exit gate, which this one has not.", "exit");
  const { weight, bias } = exitGate;
  return 1 / (1 + Math.exp(-state.reduce((sum, s, i) => sum + s * weight[i]!, bias)));
}

/** Whether the rule looks at the state after iteration `t` (counted from 0) of a call. */
export function isChecked(rule: ExitRule, t: number, isPrefill: boolean): boolean {
  if (rule.criterion === "none" || (isPrefill && rule.exitInPrefill === false)) return false;
  const past = t - (rule.minIterations ?? 0);
  return past >= 0 && past % (rule.checkEvery ?? 1) === 0;
}

/** The memory of one call: values compare with the last checked iteration. */
export interface ExitEvaluator {
  /** @throws {FathomError} not_finite, where what was seen is not */
  next(seen: ExitView): number;
}

export function shouldExit(rule: ExitRule, value: number): boolean {
  if (!mayExit(rule)) return false;
  return rule.criterion === "argmax-stability" || rule.criterion === "gate" ? value >= rule.threshold : value < rule.threshold;
}

export function createEvaluator(criterion: ExitCriterion, vocabSize: number): ExitEvaluator {
  switch (criterion) {
    case "none":
      return { next: () => 0 };
    case "latent-diff":
    case "prefix": // of a single row these are the same
    case "rest-wake":
      return { next: ({ changes }) => requireNumber(mean(changes!, movement)) };
    case "cosine":
      return { next: ({ changes }) => requireNumber(1 - mean(changes!, similarity)) };
    case "entropy-diff": {
      let previous = 100;
      return {
        next({ logits }) {
          const entropy = entropyOf(probabilities(logits!));
          const value = Math.abs(entropy - previous);
          previous = entropy;
          return value;
        },
      };
    }
    case "kl":
    case "minp-kl": {
      let previous = new Float64Array(vocabSize).fill(1 / vocabSize);
      return {
        next({ logits }) {
          const p = criterion === "kl" ? probabilities(logits!) : withoutTail(probabilities(logits!));
          const value = divergence(previous, p);
          previous = p;
          return value;
        },
      };
    }
    case "gate": {
      let undone = 1;
      return { next: ({ gate }) => requireNumber(1 - (undone *= 1 - gate!)) };
    }
    case "second-diff":
      return secondDifference();
    case "argmax-stability": {
      let previous = -1;
      let equal = 0;
      return {
        next({ logits }) {
          const best = argmax(logits!);
          equal = best === previous ? equal + 1 : 0;
          previous = best;
          return equal;
        },
      };
    }
  }
}

/**
 * mean over rows of ||s_t - 2 s_(t-1) + s_(t-2)|| / ||s_t||, the larger of the last two: below a threshold means twice
 * in a row. Infinity until three states are known.
 */
function secondDifference(): ExitEvaluator {
  let before: readonly LatentState[] | undefined;
  let twoBefore: readonly LatentState[] | undefined;
  let previous = Infinity;
  return {
    next({ states }) {
      const now = states!;
      let value = Infinity;
      if (before !== undefined && twoBefore !== undefined)
        value = now.reduce((sum, s, i) => sum + curvature(s, before![i]!, twoBefore![i]!), 0) / now.length;
      const larger = requireNumber(Math.max(value, previous));
      [previous, twoBefore, before] = [value, before, now];
      return larger;
    },
  };
}

function curvature(now: LatentState, before: LatentState, twoBefore: LatentState): number {
  let [difference, norm] = [0, 0];
  for (let i = 0; i < now.length; i++) {
    difference += (now[i]! - 2 * before[i]! + twoBefore[i]!) ** 2;
    norm += now[i]! ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / norm);
}

/** Cosine of the angle between a state and the one before; 0 where one of them is zero. */
function similarity({ dot, norm, previousNorm }: StateChange): number {
  const product = norm * previousNorm;
  return product === 0 ? 0 : dot / product;
}

function mean(changes: readonly StateChange[], value: (c: StateChange) => number): number {
  let sum = 0;
  for (const c of changes) sum += value(c);
  return sum / changes.length;
}

/** First index of the largest value. @throws {FathomError} not_finite */
export function argmax(values: ArrayLike<number>): number {
  requireFinite(values);
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** Softmax in f64. @throws {FathomError} not_finite */
export function probabilities(logits: ArrayLike<number>): Float64Array<ArrayBuffer> {
  requireFinite(logits);
  const p = Float64Array.from(logits);
  let largest = -Infinity;
  for (const v of p) largest = Math.max(largest, v);
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += p[i] = Math.exp(p[i]! - largest);
  for (let i = 0; i < p.length; i++) p[i]! /= sum;
  return p;
}

function entropyOf(p: Float64Array): number {
  let sum = 0;
  for (const v of p) sum -= v * Math.log(v + 1e-10);
  return sum;
}

/** Entries below a tenth of the largest become 1/V; renormalised. */
function withoutTail(p: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const floor = 0.1 * p.reduce((a, b) => Math.max(a, b), 0);
  const kept = p.map((v) => (v < floor ? 1 / p.length : v));
  const sum = kept.reduce((a, b) => a + b, 0);
  return kept.map((v) => v / sum);
}

/** KL(previous || next) in nats. */
function divergence(previous: Float64Array, next: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < next.length; i++) {
    const p = previous[i]!;
    if (p > 0) sum += p * (Math.log(p) - Math.log(Math.max(next[i]!, Number.MIN_VALUE)));
  }
  return sum;
}
