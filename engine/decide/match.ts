/**
 * How well options match a question, without thinking: the cosine of two mapped states. Pure. Not here: how the states
 * come to be (match-pass.ts), and how the weights are read (engine/model/match.ts).
 */
import type { MatchWeights } from "../model/match.ts";
import type { LatentState } from "../port/backend.ts";
import { sigmoid } from "./probabilities.ts";
import type { ScorePoint } from "./enter.ts";
import type { LeafResult } from "./pass.ts";
import type { QuestionTree } from "./tree.ts";

/** A state mapped to where questions and options meet, of length 1. */
export function mapped(matrix: Float32Array, state: LatentState): Float32Array {
  const size = matrix.length / state.length;
  const vector = new Float64Array(size);
  let square = 0;
  for (let row = 0; row < size; row++) {
    let dot = 0;
    for (let i = 0; i < state.length; i++) dot += matrix[row * state.length + i]! * state[i]!;
    vector[row] = dot;
    square += dot * dot;
  }
  const norm = Math.sqrt(square);
  return Float32Array.from(vector, (v) => (norm === 0 ? 0 : v / norm));
}

/** What a match adds to the fit score. */
export function matchScore(question: Float32Array, option: Float32Array, { scale, bias }: Pick<MatchWeights, "scale" | "bias">): number {
  let dot = 0;
  for (let i = 0; i < question.length; i++) dot += question[i]! * option[i]!;
  return scale * dot + bias;
}

/** The options that are thought about: the best by match, of equals the first by text. @param scores by option's text, in their order */
export function candidatesOf(scores: readonly number[], count: number): number[] {
  return scores
    .map((_, i) => i)
    .sort((a, b) => scores[b]! - scores[a]! || a - b)
    .slice(0, count);
}

/**
 * Branch and match together, for every option. One that was not thought about is taken for no better than the worst that
 * was: it never wins, as its match is not better either.
 * @param branches of the candidates; none where match alone decides
 * @param fitOf    makes a fit of a score [default its sigmoid]
 */
export function withMatch(
  question: QuestionTree,
  branches: readonly LeafResult[],
  scores: readonly number[],
  fitOf: (score: number) => number = sigmoid,
): LeafResult[] {
  if (branches.length === 0) {
    const alone = (score: number): ScorePoint => ({ iteration: 1, scores: [score], fits: [fitOf(score)] });
    return scores.map((score, leaf) => ({ question, leaf, exited: true, points: [alone(score)] }));
  }
  const iterations = [...new Set(branches.flatMap(({ points }) => points.map(({ iteration }) => iteration)))].sort((a, b) => a - b);
  const scoreAt = ({ points }: LeafResult, iteration: number): number =>
    points.findLast((point) => point.iteration <= iteration)!.scores[0]!;
  const point = (iteration: number, branch: number, leaf: number): ScorePoint => {
    const score = branch + scores[leaf]!;
    return { iteration, scores: [score], fits: [sigmoid(score)] };
  };
  return question.leaves.map((_, leaf): LeafResult => {
    const own = branches.find((branch) => branch.leaf === leaf);
    if (own !== undefined) return { ...own, points: own.points.map((p) => point(p.iteration, p.scores[0]!, leaf)) };
    const worst = (iteration: number): number => Math.min(...branches.map((branch) => scoreAt(branch, iteration)));
    return { question, leaf, exited: true, points: iterations.map((iteration) => point(iteration, worst(iteration), leaf)) };
  });
}
