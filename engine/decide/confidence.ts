/**
 * How sure an answer is, in one number from 0 to 1, by the formulas that clients of such endpoints know: the winner's
 * lead over an even guess, and the spread around the most probable level. Pure. Not here: the absolute fit, and when the
 * answer settled, which say other things (question.ts).
 */

/** Confidence of a choice: 0 where all options are equally probable, 1 where one has it all, or is alone. */
export function choiceConfidence(probabilities: readonly number[]): number {
  const count = probabilities.length;
  if (count === 1) return 1;
  const largest = Math.max(...probabilities);
  return Math.max(0, (largest - 1 / count) / (1 - 1 / count));
}

/**
 * Confidence of a score: 1 less the mean distance from the most probable level (of equals the lowest), in units of the mean
 * distance of an even spread from the middle; not below 0.
 */
export function scoreConfidence(probabilities: readonly number[]): number {
  const count = probabilities.length;
  if (count === 1) return 1;
  const mode = probabilities.indexOf(Math.max(...probabilities));
  let [distance, even] = [0, 0];
  probabilities.forEach((p, level) => {
    distance += p * Math.abs(level - mode);
    even += Math.abs(level - (count - 1) / 2) / count;
  });
  return Math.max(0, 1 - distance / even);
}
