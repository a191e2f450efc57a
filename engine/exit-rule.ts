/**
 * Exit rules as data (paper section 6.1): when a token has thought enough. Their arithmetic is in decode/exit.ts.
 */
import { FathomError } from "./errors.ts";

/** The reference's strings, and second-diff (arXiv 2509.23314): the change of the change, small twice in a row. */
export type ExitCriterion = "latent-diff" | "cosine" | "entropy-diff" | "kl" | "minp-kl" | "argmax-stability" | "second-diff" | "none";

/** The reference's automatic thresholds; second-diff's is ours, on the scale of latent-diff's. */
export const DEFAULT_THRESHOLDS: Readonly<Record<ExitCriterion, number>> = {
  "latent-diff": 0.03,
  cosine: 1e-3,
  "entropy-diff": 1e-3,
  kl: 1e-3,
  "minp-kl": 1e-5,
  "argmax-stability": 5,
  "second-diff": 0.03,
  none: 0,
};

export const EXIT_CRITERIA = Object.keys(DEFAULT_THRESHOLDS) as ExitCriterion[];

export interface ExitRule {
  readonly criterion: ExitCriterion;
  /** Stop when the value is below it; for argmax-stability when the count of equal argmaxes reaches it. 0: never. */
  readonly threshold: number;
  /** Iterations that run unchecked first. [default 0] */
  readonly minIterations?: number;
  /** Check every n-th iteration after those. [default 1] */
  readonly checkEvery?: number;
  /** false: the prompt always runs to its limit. [default true] */
  readonly exitInPrefill?: boolean;
}

export const NEVER_EXIT: ExitRule = { criterion: "none", threshold: 0 };

/**
 * Reads `criterion` or `criterion:threshold`, e.g. `latent-diff:0.03`.
 * @throws {FathomError} invalid_request
 */
export function parseExitRule(text: string): ExitRule {
  const [name, threshold, ...more] = text.split(":");
  const criterion = EXIT_CRITERIA.find((c) => c === name);
  const value = threshold === undefined ? DEFAULT_THRESHOLDS[criterion ?? "none"] : Number(threshold);
  if (criterion === undefined || more.length > 0 || threshold?.trim() === "" || !Number.isFinite(value) || value < 0)
    throw new FathomError(
      "invalid_request",
      `Exit rule ${JSON.stringify(text)} is not CRITERION or CRITERION:THRESHOLD with one of ${EXIT_CRITERIA.join(", ")}, such as latent-diff:0.03.`,
      "exit",
    );
  return { criterion, threshold: value };
}
