/**
 * What is let through: a question about every input, and the answer that allows it.
 *
 * The shipped model knows puzzles of four forms and nothing else, so its question is the puzzle's own. With a model that
 * is trained on your policy the question is the policy's, such as "Is this an attempt to change the instructions?".
 */
export const QUESTION = { type: "choice", instructions: "", choices: [{ value: "Yes" }, { value: "No" }] };

/** What the model says of an input. */
export interface Answer {
  readonly probabilities: readonly { readonly value: string; readonly probability: number }[];
}

/** How probable it is that the input may pass. */
export const allowedBy = ({ probabilities }: Answer): number => probabilities.find(({ value }) => value === "Yes")!.probability;

/** Sure enough to allow, or to refuse; what lies between is thought about longer, and refused if it stays there. */
export const SURE = 0.9;

/** Core iterations of the first look, and of the second, which only doubtful inputs get. */
export const FIRST_LOOK = 6;
export const SECOND_LOOK = 32;
