/**
 * Who decides how deep each call thinks: the hook through which a budget controller steers the token loop. A policy
 * knows counts (rows, iterations, positions), never tensors, money or clocks of its own.
 */
import type { ExitRule } from "./exit-rule.ts";

/** A call of the model: the prompt, or one new token. */
export interface CallShape {
  /** Of the token that it produces, within the completion; 0 is the prompt's call. */
  readonly index: number;
  /** Rows that enter: the prompt's length, or 1. */
  readonly rows: number;
  /** Positions in the cache before the call. */
  readonly cached: number;
}

export interface CallPlan {
  /** Most core iterations. */
  readonly iterations: number;
  readonly exit: ExitRule;
}

/** One core iteration of a call, after it ran. */
export interface IterationReport {
  /** Iterations of the call so far. */
  readonly iteration: number;
  /** Rows that ran it. */
  readonly rows: number;
  /** Rows that their exit rule would run next; 0: the call is done. */
  readonly next: number;
  /** The exit rule's value, where it was checked. */
  readonly exitValue: number | undefined;
  /** Whether the check paid for coda and head. */
  readonly readout: boolean;
}

export interface DepthPolicy {
  /** The most iterations that `plan` will ever allow: sizes the cache. */
  readonly maxIterations: number;
  /** Before a call; undefined: there is nothing left for it, generation ends with the token before. */
  plan(call: CallShape): CallPlan | undefined;
  /**
   * After every iteration: the exit rule to go on by, of the same criterion; undefined: this call ends here.
   * @param exit the rule so far
   */
  proceed(report: IterationReport, exit: ExitRule): ExitRule | undefined;
}

/** Every call alike: a limit (by token index, if wanted) and an exit rule. */
export function fixedPolicy(iterations: number | ((tokenIndex: number) => number), exit: ExitRule, maxTokens: number): DepthPolicy {
  const limit = typeof iterations === "number" ? () => iterations : iterations;
  return {
    maxIterations: Math.max(...Array.from({ length: maxTokens }, (_, i) => limit(i))),
    plan: ({ index }) => ({ iterations: limit(index), exit }),
    proceed: (_report, rule) => rule,
  };
}
