/**
 * What tells best whether an answer is right: its probability, or how its thinking went (when it settled, how far the last
 * iterations agree), or all together. Each is made a probability of being right on half of the outcomes and judged on the
 * other half.
 */
import { calibrationError, type Judged } from "./metrics/calibration-error.ts";
import { fitLogistic, probability, type LogisticWeights } from "./metrics/logistic.ts";
import { riskCoverageArea } from "./metrics/risk-coverage.ts";
import { halvesByKind } from "./halves.ts";
import { inScope, type Outcome } from "./outcomes.ts";
import { estimate, largest, type Estimate, type SummaryOptions } from "./summary.ts";

export type WitnessName = "probability" | "settledAt" | "agreement" | "mix";

export interface Witness {
  readonly name: WitnessName;
  /** Rows that it was judged on. */
  readonly n: number;
  readonly aurc: Estimate;
  /** Calibration error of the probability that was made of the witness. */
  readonly ece: Estimate;
  /** An intercept and a weight for each feature. */
  readonly weights: LogisticWeights;
}

/** Nearer to 0 or 1 a probability's logit is cut. */
const SURE = 1e-6;

const FEATURES: Readonly<Record<Exclude<WitnessName, "mix">, (outcome: Outcome) => number>> = {
  probability: (outcome) => logit(largest(outcome)),
  settledAt: ({ settledAt }) => -Math.log2(settledAt),
  agreement: ({ agreement }) => logit(agreement),
};

/** None where a half has no rows that something fits. */
export function compareWitnesses(outcomes: readonly Outcome[], options: SummaryOptions = {}): Witness[] {
  const halves = halvesByKind(outcomes);
  const fitted = inScope(halves.flatMap((half) => half.fitted));
  const reported = inScope(halves.flatMap((half) => half.reported));
  if (fitted.length === 0 || reported.length === 0) return [];
  const alone = Object.entries(FEATURES).map(([name, feature]) => ({ name: name as WitnessName, features: [feature] }));
  return [...alone, { name: "mix" as const, features: Object.values(FEATURES) }].map(({ name, features }) => {
    const of = (outcome: Outcome): number[] => features.map((feature) => feature(outcome));
    const weights = fitLogistic(fitted.map((outcome) => ({ features: of(outcome), isRight: outcome.isRight })));
    const judged = reported.map((outcome): Judged => ({ confidence: probability(weights, of(outcome)), isRight: outcome.isRight }));
    const drawn = (metric: (rows: readonly Judged[]) => number): Estimate => estimate(judged, metric, options);
    return { name, n: judged.length, aurc: drawn(riskCoverageArea), ece: drawn((rows) => calibrationError(rows)), weights };
  });
}

function logit(p: number): number {
  const cut = Math.min(1 - SURE, Math.max(SURE, p));
  return Math.log(cut / (1 - cut));
}
