/**
 * Where requests can go: your teams, tools or intents, each with a description. The model is shown `option: description`
 * and says how well it fits; it has not seen these routes before, so change them as you like.
 */
export interface Route {
  readonly name: string;
  /** What the model reads. */
  readonly option: string;
  /** What the option means. */
  readonly description?: string;
}

export const ROUTES: readonly Route[] = [
  { name: "billing", option: "billing", description: "charges, invoices and refunds" },
  { name: "technical", option: "technical", description: "something does not work" },
  { name: "sales", option: "sales", description: "prices and plans" },
];

/** The question about every input. */
export const QUESTION: string = "What does the customer need?";

/** A route that is less probable than this is nobody's: a person looks at it. */
export const LEAST_PROBABILITY = 0.7;

/** Nor is one that fits less than this by itself: probabilities sum to 1 even where no route fits. */
export const LEAST_FIT = 0.1;
