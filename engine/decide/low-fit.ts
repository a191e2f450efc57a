/**
 * The word for a decision whose best option fits badly by itself: probabilities sum to 1 all the same. Pure.
 */

/** Fit below which it is worth a word, where neither the card nor the request names a threshold. */
const LOW = 0.5;

/**
 * What to say behind the fit of an answer's best option; empty where it fits, and of predicates, to which "no" is an answer.
 * @param abstained whether the fit is below a threshold of the card's or the request's
 */
export function lowFitWords(kind: "predicate" | "choice" | "score", fit: number, abstained: boolean): string {
  return kind !== "predicate" && (abstained || fit < LOW) ? " (low: probably none of these)" : "";
}
