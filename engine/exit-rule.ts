/**
 * Exit rules as data (paper section 6.1): when a token has thought enough. Their arithmetic is in decode/exit.ts.
 */
import type { CacheLookup, CacheStrategy } from "./cache-strategy.ts";
import { FathomError } from "./errors.ts";

/**
 * The reference's strings; second-diff (arXiv 2509.23314): the change of the change, small twice in a row; and two
 * rules of Fathom's own that stop a prompt's rows one by one, prefix and rest-wake (decode/rest.ts); gate, by what a model
 * has learned (arXiv 2510.25741).
 */
export type ExitCriterion =
  | "latent-diff"
  | "cosine"
  | "entropy-diff"
  | "kl"
  | "minp-kl"
  | "argmax-stability"
  | "second-diff"
  | "prefix"
  | "rest-wake"
  | "gate"
  | "none";

/** The reference's automatic thresholds; second-diff, prefix and rest-wake are ours: what held accuracy in docs/exits.md. */
export const DEFAULT_THRESHOLDS: Readonly<Record<ExitCriterion, number>> = {
  "latent-diff": 0.03,
  cosine: 1e-3,
  "entropy-diff": 1e-3,
  kl: 1e-3,
  "minp-kl": 1e-5,
  "argmax-stability": 5,
  "second-diff": 0.03,
  prefix: 0.1,
  "rest-wake": 0.1,
  gate: 0.9,
  none: 0,
};

/** Names of the criteria by which a row may stop iterating. */
export const EXIT_CRITERIA = Object.keys(DEFAULT_THRESHOLDS) as ExitCriterion[];

/** When a row stops iterating: a criterion, and the value at which it is met. */
export interface ExitRule {
  readonly criterion: ExitCriterion;
  /**
   * Stop when the value is below it, 0: never; for argmax-stability when the count of equal argmaxes reaches it, 0: never;
   * for gate when the probability that the answer is done by now reaches it, 1 or more: never.
   */
  readonly threshold: number;
  /** rest-wake: pressure at which a resting row runs again. [default the threshold] */
  readonly wake?: number;
  /** Iterations that run unchecked first. [default 0] */
  readonly minIterations?: number;
  /** Check every n-th iteration after those. [default 1] */
  readonly checkEvery?: number;
  /** Whether the prompt may exit; false: it always runs to its limit. [default true] */
  readonly exitInPrefill?: boolean;
}

/** The rule under which every row runs all its iterations. */
export const NEVER_EXIT: ExitRule = { criterion: "none", threshold: 0 };

/** Rules that look at each row of a prompt by itself, and so may leave rows at different depths. */
export function stopsRowByRow(rule: ExitRule): boolean {
  return rule.threshold > 0 && (rule.criterion === "prefix" || rule.criterion === "rest-wake");
}

/** Whether a rule may stop anything at all. */
export function mayExit({ criterion, threshold }: ExitRule): boolean {
  return criterion === "gate" ? threshold < 1 : criterion !== "none" && threshold > 0;
}

/**
 * Whether rows run on behind their exit, for the sake of what they leave in the cache: under the rule gate, whose models know
 * of no missing keys and values, unless the cache finds others in their place. The answer is the exit's all the same.
 */
export function runsOn({ criterion }: ExitRule, { lookup }: CacheStrategy): boolean {
  return criterion === "gate" && !READS_STOPPED_ROWS.includes(lookup);
}

/** Lookups under which a row that stopped early is still read by those that go on. */
const READS_STOPPED_ROWS: readonly CacheLookup[] = ["latest", "available", "always-last"];

/**
 * Why a cache cannot serve a rule that stops rows one by one, as the rest of a sentence that begins with the rule. A row
 * that wakes runs an iteration that others have long passed; it must read their newest keys all the same.
 * @returns undefined where it can
 */
export function cacheObjection(rule: ExitRule, { name, lookup, sharing }: CacheStrategy, coreLayers: number): string | undefined {
  if (!stopsRowByRow(rule)) return undefined;
  const suitable = `latest-m${coreLayers}-compress-s${coreLayers}`;
  if (!READS_STOPPED_ROWS.includes(lookup))
    return `stops rows at different depths, and cache strategy ${name} would not see them any more; use ${suitable}`;
  const keepsNewest = sharing.kind === "cyclic" && sharing.slots === coreLayers;
  if (rule.criterion === "rest-wake" && !keepsNewest) return `needs a cache that keeps one iteration, ${suitable}, not ${name}`;
  return undefined;
}

/**
 * Reads `criterion`, `criterion:threshold` or `rest-wake:rest:wake`, e.g. `latent-diff:0.03`, `rest-wake:0.1:0.3`.
 * A criterion alone has the threshold of `DEFAULT_THRESHOLDS`.
 * @throws {FathomError} invalid_request
 * @example
 * const exit = parseExitRule("latent-diff:0.03");
 */
export function parseExitRule(text: string): ExitRule {
  const [name, ...parts] = text.split(":");
  const criterion = EXIT_CRITERIA.find((c) => c === name);
  const numbers = parts.map((part) => (part.trim() === "" ? NaN : Number(part)));
  const most = criterion === "rest-wake" ? 2 : 1;
  if (criterion === undefined || numbers.length > most || !numbers.every((n) => Number.isFinite(n) && n >= 0))
    throw new FathomError(
      "invalid_request",
      `Exit rule ${JSON.stringify(text)} is not CRITERION, CRITERION:THRESHOLD or rest-wake:REST:WAKE with one of ${EXIT_CRITERIA.join(", ")}, ` +
        "such as latent-diff:0.03.",
      "exit",
    );
  const [threshold = DEFAULT_THRESHOLDS[criterion], wake] = numbers;
  return { criterion, threshold, ...(wake !== undefined && { wake }) };
}
