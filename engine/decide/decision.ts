/**
 * What a decision comes to: the answers, and what they took. Data only.
 */
import type { Answer } from "./question.ts";

/** How a model decides: by its card, or by what its tokenizer has. */
export type DecisionFormName = "branches" | "letters" | "likelihood";

/** A request's answers, and what they took. */
export interface Decision {
  /** One a question, in the order asked. */
  readonly answers: readonly Answer[];
  readonly form: DecisionFormName;
  readonly usage: DecisionUsage;
  readonly iterations: DecisionIterations;
}

/** Tokens that a decision took. */
export interface DecisionUsage {
  /** Tokens that the model was given: the input once, each question once, each option once. */
  readonly inputTokens: number;
  /** Input tokens whose rows were there already. */
  readonly cachedTokens: number;
}

/** Core iterations that a decision took. */
export interface DecisionIterations {
  /** Iterations of the passes, each counted by its deepest row. */
  readonly total: number;
  /** Iterations of all rows together. */
  readonly rowIterations: number;
  /** What the limit would have allowed beyond them. */
  readonly saved: number;
  /** Mean and most over the questions. */
  readonly mean: number;
  readonly max: number;
  /** Passes that the decision took: one, where all of it fits into memory at once. */
  readonly passes: number;
}
