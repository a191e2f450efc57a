/**
 * What is read off a leaf's rows, by form: the fit score of a branch, the letters of the next token, the likelihood of a
 * text. Not here: how rows come to be read (pass.ts), and what scores mean together (answers.ts).
 */
import { requireFinite } from "../finite.ts";
import type { ModelConfig } from "../model/config.ts";
import type { DecisionForm } from "../model/decisions.ts";
import type { Row } from "../port/backend.ts";
import { logSumExp, sigmoid } from "./probabilities.ts";
import type { QuestionTree } from "./tree.ts";

/** Scores of a leaf's options, in the order of its question's texts; of one option where each has a leaf of its own. */
export interface LeafScores {
  /** Compared with each other by softmax. */
  readonly scores: readonly number[];
  /** 0..1, of each by itself. */
  readonly fits: readonly number[];
  readonly labelMass?: number;
}

export interface Reader {
  /** Scores are known after every iteration; else only where a leaf's thinking ends, as reading costs too much. */
  readonly readsAlways: boolean;
  /** Tokens whose logits are wanted; undefined: all. */
  readonly tokens: readonly number[] | undefined;
  /** Logits a head. */
  readonly logits: number;
  /** Rows that a leaf of so many tokens has. */
  rowCount(tokens: number): number;
  /** Rows that are read of a leaf of so many tokens. */
  headCount(tokens: number): number;
  /** @param before the last row before the leaf's own; may be a head of several leaves */
  heads(before: Row, own: readonly Row[]): readonly Row[];
  /** @param logits one array a head @throws {FathomError} not_finite */
  scores(question: QuestionTree, leaf: number, logits: readonly Float32Array[]): LeafScores;
}

export function readerOf(form: DecisionForm, { vocabSize }: ModelConfig): Reader {
  switch (form.name) {
    case "branches":
      return fitReader(form.markers.yes);
    case "letters":
      return letterReader(form.letters, vocabSize);
    case "likelihood":
      return likelihoodReader(vocabSize);
  }
}

function fitReader(yes: number): Reader {
  return {
    readsAlways: true,
    tokens: [yes],
    logits: 1,
    rowCount: (tokens) => tokens,
    headCount: () => 1,
    heads: (_before, own) => own.slice(-1),
    scores(_question, _leaf, [logits]) {
      requireFinite(logits!);
      return { scores: [logits![0]!], fits: [sigmoid(logits![0]!)] };
    },
  };
}

/** A letter has one or two tokens, with and without a space: both count. */
function letterReader(letters: readonly (readonly number[])[], vocabSize: number): Reader {
  return {
    readsAlways: true,
    tokens: undefined,
    logits: vocabSize,
    rowCount: () => 0,
    headCount: () => 1,
    heads: (before) => [before],
    scores({ texts }, _leaf, [logits]) {
      requireFinite(logits!);
      const all = logSumExp(logits!);
      const scores = texts.map((_, i) => logSumExp(letters[i]!.map((id) => logits![id]!)));
      return { scores, fits: scores.map((score) => Math.exp(score - all)), labelMass: Math.min(1, Math.exp(logSumExp(scores) - all)) };
    },
  };
}

/** Mean log-probability of a leaf's tokens, each predicted by the row before it. */
function likelihoodReader(vocabSize: number): Reader {
  return {
    readsAlways: false,
    tokens: undefined,
    logits: vocabSize,
    rowCount: (tokens) => tokens - 1, // nothing is predicted behind the last one
    headCount: (tokens) => tokens,
    heads: (before, own) => [before, ...own],
    scores({ leaves }, leaf, logits) {
      const tokens = leaves[leaf]!;
      const sum = logits.reduce((total, row, i) => {
        requireFinite(row);
        return total + row[tokens[i]!]! - logSumExp(row);
      }, 0);
      return { scores: [sum / tokens.length], fits: [Math.exp(sum / tokens.length)] };
    },
  };
}
