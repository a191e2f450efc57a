/**
 * The part of a card that says how a model decides: how it wants typed questions put, and what was measured on its
 * answers. Not here: what it means to a tokenizer (decisions.ts).
 */
import * as v from "valibot";
import { count, exitSchema, iterations, notNegative, positive, share, whole } from "./card-values.ts";
import { marker } from "./marker.ts";

/** Softmax temperatures by the number of options that they reach up to, e.g. {"2": 1.1, "10": 0.9, "255": 0.7}. */
const temperatures = v.record(v.pipe(v.string(), v.regex(/^[1-9]\d*$/)), positive);

/** What was measured on one set of labelled decisions; of those that some option fits, where nothing else is said. */
const quality = v.strictObject({
  task: v.string(),
  n: count,
  /** Decisions besides that no option fits. */
  outOfScope: v.optional(count),
  /** Iterations -> share answered right, 0..1, without early exit. */
  accuracy: v.record(v.pipe(v.string(), v.regex(/^\d+$/)), share),
  /** Figures with the exit rule for decisions. */
  withExit: v.strictObject({
    accuracy: share,
    macroF1: share,
    /** Squared distance from what was right, summed over options, 0..2. */
    brier: notNegative,
    /** Expected calibration error of the answer's probability, over 15 bins. */
    ece: share,
    /** Area under the risk-coverage curve by the answer's probability. */
    aurc: share,
    /** Share of `outOfScope` found by fit, for 3 points of accuracy on the others. */
    outOfScopeRecall: v.optional(share),
    /** Core iterations a question. */
    meanIterations: positive,
  }),
});

/** branches: which options are worth thinking about, by two small matrices over states (match.ts). */
const match = v.strictObject({
  file: v.optional(v.string(), "match.safetensors"),
  /** Names of the tensors in it, [size, width] each. */
  question: v.string(),
  option: v.string(),
  /** Where a question's state is read: at its last row, or at its marker, which is what the input means whatever is asked. */
  reads: v.optional(v.picklist(["question", "input"]), "question"),
  /** What a cosine of 1 adds to a fit score. */
  scale: positive,
  /** What is added to every match: it moves fits, and no probability of a choice. */
  bias: v.optional(v.pipe(v.number(), v.finite()), 0),
  /** Options of a question that become branches; 0: match alone decides. */
  candidates: whole(0),
  /** Probability by match alone from which on a question's best option is not thought about. [default all are] */
  settled: v.optional(share),
});

/** How the model wants typed questions put, and what was measured on it. */
export const decisionsSchema = v.strictObject({
  form: v.picklist(["branches", "letters", "likelihood"]),
  /** branches: what stands before the input, a question and an option, behind an option, and the token that says "it fits". */
  markers: v.optional(v.strictObject({ begin: v.optional(marker), question: marker, option: marker, fits: marker, yes: marker })),
  match: v.optional(match),
  /** Vectors of a user's own labels over the match of a base (labels.ts). */
  labels: v.optional(v.strictObject({ file: v.optional(v.string(), "labels.safetensors") })),
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
  quality: v.optional(v.array(quality)),
  qualityMeasuredBy: v.optional(v.string()),
});

export type DecisionsCard = v.InferOutput<typeof decisionsSchema>;
