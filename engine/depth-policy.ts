/**
 * Who decides how deep each call thinks: the hook through which a budget controller steers the token loop. A policy
 * knows counts (rows, iterations, positions), never tensors, money or clocks of its own.
 */
import type { ExitRule } from "./exit-rule.ts";

/** A call of the model: the prompt, or one new token. */
export interface CallShape {
  /** Index of the token that the call makes, within the completion; 0 is the prompt's call. */
  readonly index: number;
  /** Rows that enter: the prompt's length, or 1. */
  readonly rows: number;
  /** Positions in the cache before the call. */
  readonly cached: number;
}

export interface CallPlan {
  /** Most core iterations. */
  readonly iterations: number;
  /** Iterations that were asked for, where something else leaves a call that is planned ahead fewer. [default iterations] */
  readonly cap?: number;
  readonly exit: ExitRule;
}

/** One core iteration of a call, after it ran. */
export interface IterationReport {
  /** Iterations of the call so far. */
  readonly iteration: number;
  /** Rows that ran it; 0 where only a prefix before them moved, and the exit rule looked whether it wakes any. */
  readonly rows: number;
  /** Rows that their exit rule would run next; 0: the call is done. */
  readonly next: number;
  /** The exit rule's value, where it was checked. */
  readonly exitValue: number | undefined;
  /** Whether the check paid for coda and head. */
  readonly readout: boolean;
}

/** A one-row call that was planned ahead, after it ran. */
export interface CallReport {
  readonly iterations: number;
  /** Iterations after which the exit rule was checked. */
  readonly checks: number;
  readonly exited: boolean;
}

/** Decides, call by call and iteration by iteration, how deep a completion thinks. */
export interface DepthPolicy {
  /** The most iterations that `plan` will ever allow: sizes the cache. */
  readonly maxIterations: number;
  /** Plans a call before it begins; undefined: nothing is left for it, generation ends with the token before. */
  plan(call: CallShape): CallPlan | undefined;
  /** Takes the last plan back: its call will not be made. [default it counts as made] */
  cancel?(): void;
  /**
   * Gives the exit rule to go on by after an iteration, of the same criterion; undefined: this call ends here.
   * @param exit the rule so far
   */
  proceed(report: IterationReport, exit: ExitRule): ExitRule | undefined;
  /**
   * Plans up to `count` calls of one row each at once, the first being `call`, for a backend that makes tokens without
   * coming back: all by one exit rule. Empty: there is nothing left for the first of them. [default calls are planned
   * one by one]
   */
  planAhead?(call: CallShape, count: number): readonly CallPlan[];
  /**
   * Takes what calls that were planned ahead really ran; planned calls without a report never ran. Comes before the next
   * plan. A policy without it may be asked to plan further calls before the last have run.
   */
  reconcile?(reports: readonly CallReport[]): void;
}

/**
 * Plans every call alike: a limit and an exit rule.
 * @param iterations most core iterations of a token, by its index in the completion if wanted
 * @param maxTokens  tokens of the completion at most
 * @example
 * const policy = fixedPolicy(16, parseExitRule("latent-diff:0.03"), 64);
 */
export function fixedPolicy(iterations: number | ((tokenIndex: number) => number), exit: ExitRule, maxTokens: number): DepthPolicy {
  const limit = typeof iterations === "number" ? () => iterations : iterations;
  return {
    maxIterations: Math.max(...Array.from({ length: maxTokens }, (_, i) => limit(i))),
    plan: ({ index }) => ({ iterations: limit(index), exit }),
    proceed: (_report, rule) => rule,
    planAhead: ({ index }, count) =>
      Array.from({ length: Math.min(count, maxTokens - index) }, (_, k) => ({ iterations: limit(index + k), exit })),
  };
}
