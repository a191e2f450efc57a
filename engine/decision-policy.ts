/**
 * Who decides how deep the questions of a decision are thought about: the hook through which a budget steers it, as
 * depth-policy.ts does for tokens. A policy knows counts (rows, positions seen, passes), never tensors, money or clocks.
 */
import type { CallPlan } from "./depth-policy.ts";
import type { ExitRule } from "./exit-rule.ts";

/** Rows that go through the model together. */
export interface Load {
  readonly rows: number;
  /** Positions that each row sees, itself included, summed over the rows. */
  readonly seen: number;
}

/** Rows that go through the coda, and what is read of them. */
export interface ReadLoad extends Load {
  /** Rows that are read; the others only leave their keys and values. */
  readonly heads: number;
  /** Positions that the heads see, summed. */
  readonly headsSeen: number;
  /** Logits that are computed, summed over the heads. */
  readonly logits: number;
}

/** Rows that iterate together, an input with questions and options behind it, and what reading them takes. */
export interface PassShape {
  readonly rows: Load;
  /** The most that is read after each iteration. */
  readonly eachRead: ReadLoad;
  /** The most that is read besides, in all, until the last has ended. */
  readonly lastRead: ReadLoad;
  /** Iterations that it will run at most, whatever is allowed. [default as many as are allowed] */
  readonly most?: number;
}

/** Nothing is read. */
export const NO_READ: ReadLoad = { rows: 0, seen: 0, heads: 0, headsSeen: 0, logits: 0 };

/** A whole decision: its passes, one after the other. What is thought about less than that only costs less. */
export interface DecisionShape {
  readonly passes: readonly PassShape[];
}

export interface DecisionPolicy {
  /** The most iterations that any pass will be allowed. */
  readonly maxIterations: number;
  /** Plans a pass before its first iteration; its prelude is spent then. @param index of the pass in the decision's shape */
  begin(pass: PassShape, index: number): CallPlan;
  /** Rows have run an iteration, and were looked at where `wasChecked`. */
  ran(load: Load, wasChecked: boolean): void;
  /** Rows have been read. */
  read(load: ReadLoad): void;
  /**
   * Gives the exit rule to go on by after an iteration, of the same criterion; undefined: the pass ends, and what has
   * not been read is read.
   * @param iteration iterations of the pass so far
   * @param next      who would run next
   */
  proceed(iteration: number, next: PassShape, exit: ExitRule): ExitRule | undefined;
  /** A pass has ended. @param exited leaves that their exit rule ended @param others leaves that something else did */
  end(exited: number, others: number): void;
}

/** Every pass alike: a limit and an exit rule. */
export function fixedDecisionPolicy(iterations: number, exit: ExitRule): DecisionPolicy {
  return {
    maxIterations: iterations,
    begin: () => ({ iterations, exit }),
    ran: () => undefined,
    read: () => undefined,
    proceed: (_iteration, _next, rule) => rule,
    end: () => undefined,
  };
}
