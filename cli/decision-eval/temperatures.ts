/**
 * Temperatures by kind of question and number of options, fitted on half of the outcomes and judged on the other half.
 */
import { softmax } from "../../engine/decide/probabilities.ts";
import type { QuestionKind } from "../../engine/decide/question.ts";
import { brier } from "./metrics/brier.ts";
import { calibrationError } from "./metrics/calibration-error.ts";
import { fitTemperature, surprise } from "./metrics/temperature.ts";
import { halvesByKind } from "./halves.ts";
import { inScope, type Outcome } from "./outcomes.ts";

export interface FittedTemperature {
  readonly kind: QuestionKind;
  /** Most options that it is for. */
  readonly options: number;
  readonly temperature: number;
  /** Rows fitted on. */
  readonly fittedOn: number;
  /** Rows of the other half, and what they say of it. */
  readonly n: number;
  readonly before: Calibration;
  readonly after: Calibration;
}

export interface Calibration {
  /** Mean negative log-likelihood, nats. */
  readonly surprise: number;
  readonly ece: number;
  readonly brier: number;
}

/** Rows below which a temperature would be noise. */
const FEWEST = 20;

/** Those that have enough rows, of kind and options ascending. */
export function fitTemperatures(outcomes: readonly Outcome[]): FittedTemperature[] {
  return halvesByKind(outcomes).flatMap(({ kind, options, fitted, reported }) => {
    const [own, others] = [inScope(fitted), inScope(reported)];
    if (own.length < FEWEST || others.length === 0) return [];
    const temperature = fitTemperature(own);
    const [before, after] = [calibrationAt(others, 1), calibrationAt(others, temperature)];
    return [{ kind, options, temperature, fittedOn: own.length, n: others.length, before, after }];
  });
}

function calibrationAt(outcomes: ReturnType<typeof inScope>, temperature: number): Calibration {
  const forecasts = outcomes.map(({ scores, gold, isRight }) => ({ probabilities: softmax(scores, temperature), gold, isRight }));
  return {
    surprise: surprise(outcomes, temperature),
    ece: calibrationError(forecasts.map(({ probabilities, isRight }) => ({ confidence: Math.max(...probabilities), isRight }))),
    brier: brier(forecasts),
  };
}
