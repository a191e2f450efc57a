/**
 * The part of a card that says how a model decides: how it wants typed questions put, and what was measured on its
 * answers. Not here: what it means to a tokenizer (decisions.ts).
 */
import * as v from "valibot";
import { exitSchema, iterations, positive, share, whole } from "./card-values.ts";

/** A control token: its text in the tokenizer, or its id. */
const marker = v.union([v.string(), whole(0)], "must be a token's text or id");

/** Softmax temperatures by the number of options that they reach up to, e.g. {"2": 1.1, "10": 0.9, "255": 0.7}. */
const temperatures = v.record(v.pipe(v.string(), v.regex(/^[1-9]\d*$/)), positive);

/** How the model wants typed questions put, and what was measured on it. */
export const decisionsSchema = v.strictObject({
  form: v.picklist(["branches", "letters", "likelihood"]),
  /** branches: what stands before the input, a question and an option, behind an option, and the token that says "it fits". */
  markers: v.optional(v.strictObject({ begin: v.optional(marker), question: marker, option: marker, fits: marker, yes: marker })),
  /** Most core iterations of a question when nobody says otherwise. [default the card's `iterations`] */
  iterations: v.optional(iterations),
  /** When a branch has thought enough. [default the card's `exit`] */
  exit: v.optional(exitSchema),
  temperatures: v.optional(
    v.strictObject({ predicate: v.optional(temperatures), choice: v.optional(temperatures), score: v.optional(temperatures) }),
    {},
  ),
  /** Absolute fit below which no option fits. [default nothing is said of it] */
  fitThreshold: v.optional(share),
});

export type DecisionsCard = v.InferOutput<typeof decisionsSchema>;
