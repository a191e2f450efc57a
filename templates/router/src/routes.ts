/**
 * Where requests can go. The model is shown each route's `option` and says how well it fits.
 *
 * The shipped model knows puzzles of four forms and nothing else, so its routes are the two answers of a puzzle. With a
 * model that is trained on your decisions these are your teams, tools or intents, each with a description.
 */
export interface Route {
  readonly name: string;
  /** What the model reads. */
  readonly option: string;
  /** What the option means, for models that were trained to read descriptions. */
  readonly description?: string;
}

export const ROUTES: readonly Route[] = [
  { name: "truth", option: "Yes" },
  { name: "lie", option: "No" },
];

/** The question about every input; empty where the input asks it itself, as the shipped model's puzzles do. */
export const QUESTION: string = "";

/** A route that is less probable than this is nobody's: a person looks at it. */
export const LEAST_PROBABILITY = 0.7;

/** Nor is one that fits less than this by itself; the shipped model's fits are probabilities of words, and small. */
export const LEAST_FIT = 0;
