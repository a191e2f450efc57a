/**
 * A decision by depth, in words: when it settled, where the exit rule stops, what the iterations behind would have cost.
 */
import type { DecisionStep } from "../engine.ts";

/** @param all one step a depth, and behind them the one under the card's exit rule @param names options; none: yes or no */
export function describeSteps(all: readonly DecisionStep[], names: readonly string[]): string {
  const [steps, stopped] = [all.slice(0, -1), all.at(-1)!];
  const answerOf = ({ decision }: DecisionStep): string => {
    const { probabilities, best } = decision.answers[0]!;
    return names.length > 0 ? names[best]! : probabilities[0]! >= 0.5 ? "Yes" : "No";
  };
  const last = steps.at(-1)!;
  const settled = steps.findLastIndex((step) => answerOf(step) !== answerOf(last)) + 2;
  const { max, rowIterations } = stopped.decision.iterations;
  const more = last.decision.iterations.rowIterations - rowIterations;
  const cost =
    more > 0
      ? `${steps.length - max} more would have cost ${more} row iterations, about ${Math.max(0, last.ms - stopped.ms).toFixed(0)} ms, and said ${answerOf(last)}`
      : "no iterations were left";
  return `${answerOf(stopped)}. Settled at iteration ${settled}; the exit rule stops at ${max}, after ${rowIterations} row iterations and ${stopped.ms.toFixed(0)} ms; ${cost}.`;
}
