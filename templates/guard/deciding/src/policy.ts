/**
 * What is let through: a statement about every input that must not hold. The model knows what spam, toxic words and
 * personal data are; train statements of your own with fathom train.
 */
export const QUESTION = { type: "predicate", instructions: "The message is spam." };

/** What the model says of an input: how probable it is that the statement holds. */
export interface Answer {
  readonly probability: number;
}

/** How probable it is that the input may pass. */
export const allowedBy = (answer: Answer): number => 1 - answer.probability;

/** Sure enough to allow, or to refuse; what lies between is thought about longer, and refused if it stays there. */
export const SURE = 0.8;

/** Core iterations of the first look, and of the second, which only doubtful inputs get. */
export const FIRST_LOOK = 1;
export const SECOND_LOOK = 2;
