/**
 * Makes answers of leaves' scores: probabilities at the card's temperature, absolute fits, when the answer settled.
 */
import type { DecisionsCard } from "../model/decisions-card.ts";
import type { ScorePoint } from "./enter.ts";
import type { LeafResult } from "./pass.ts";
import { bestOf, expectation, overlap, sigmoid, softmax } from "./probabilities.ts";
import { optionTexts, type Answer, type AnswerPoint, type Question } from "./question.ts";
import type { LeafScores } from "./readers.ts";
import type { QuestionTree } from "./tree.ts";

export interface AnswerTerms {
  /** [default 1 everywhere] */
  readonly temperatures?: DecisionsCard["temperatures"] | undefined;
  /** Fit below which no option fits. [default an answer never abstains] */
  readonly abstainBelow?: number | undefined;
}

/** Iterations before the last whose agreement is told. */
const LOOKED_BACK = 4;

/** @param leaves of the question, ascending */
export function answerOf({ question, texts }: QuestionTree, leaves: readonly LeafResult[], terms: AnswerTerms): Answer {
  const place = placesOf(question, texts);
  const history = historyOf(question, leaves, place, terms);
  const last = history.at(-1)!;
  const { fits, labelMass } = lastScores(leaves);
  const ofOptions = place.map((i) => fits[i]!);
  const asked = optionTexts(question);
  const isPredicate = question.kind === "predicate";
  const leader = ({ probabilities: p }: AnswerPoint): number => (isPredicate ? Number(p[0]! >= 0.5) : bestOf(p, asked));
  const { abstainBelow } = terms;
  return {
    kind: question.kind,
    probabilities: last.probabilities,
    fitScores: last.fitScores,
    fits: ofOptions,
    best: isPredicate ? 0 : leader(last),
    score: question.kind === "score" ? expectation(last.probabilities) : undefined,
    iterations: last.iteration,
    settledAt: history[settledFrom(history.map(leader))]!.iteration,
    agreement: agreementOf(history.map(({ probabilities }) => probabilities)),
    history,
    labelMass,
    abstained: !isPredicate && abstainBelow !== undefined && Math.max(...ofOptions) < abstainBelow,
  };
}

/** The answer after each iteration from which on every leaf has been read. */
function historyOf(question: Question, leaves: readonly LeafResult[], place: readonly number[], terms: AnswerTerms): AnswerPoint[] {
  const iterations = [...new Set(leaves.flatMap(({ points }) => points.map(({ iteration }) => iteration)))].sort((a, b) => a - b);
  const first = Math.max(...leaves.map(({ points }) => points[0]!.iteration));
  return iterations
    .filter((iteration) => iteration >= first)
    .map((iteration) => {
      const scores = leaves.flatMap(({ points }) => pointAt(points, iteration).scores);
      return { iteration, ...answerTo(question, scores, place, terms) };
    });
}

/** Indices of scores by option asked; a predicate has one. */
function placesOf(question: Question, texts: readonly string[]): number[] {
  if (question.kind === "predicate") return [0];
  const index = new Map(texts.map((text, i) => [text, i]));
  return optionTexts(question).map((text) => index.get(text)!);
}

/** @param scores by distinct text; of a predicate its one branch's, or those of yes and no */
function answerTo(
  { kind }: Question,
  scores: readonly number[],
  place: readonly number[],
  { temperatures }: AnswerTerms,
): Pick<AnswerPoint, "fitScores" | "probabilities"> {
  const temperature = temperatureOf(temperatures?.[kind], place.length);
  if (kind === "predicate") {
    const [yes, no = 0] = scores as [number, number?];
    return { fitScores: [yes - no], probabilities: [sigmoid((yes - no) / temperature)] };
  }
  const fitScores = place.map((i) => scores[i]!);
  return { fitScores, probabilities: softmax(fitScores, temperature) };
}

/** That of the smallest number of options that reaches as far, else of the largest. */
export function temperatureOf(byOptions: Readonly<Record<string, number>> | undefined, options: number): number {
  const reaches = Object.keys(byOptions ?? {})
    .map(Number)
    .sort((a, b) => a - b);
  const found = reaches.find((most) => options <= most) ?? reaches.at(-1);
  return found === undefined ? 1 : byOptions![String(found)]!;
}

/** What a leaf said after an iteration; what has ended says what it said last. */
function pointAt(points: readonly ScorePoint[], iteration: number): ScorePoint {
  return points.findLast((point) => point.iteration <= iteration)!;
}

function lastScores(leaves: readonly LeafResult[]): LeafScores {
  const last = leaves.map(({ points }) => points.at(-1)!);
  const [{ labelMass }] = last as [ScorePoint];
  return {
    scores: last.flatMap(({ scores }) => scores),
    fits: last.flatMap(({ fits }) => fits),
    ...(labelMass !== undefined && { labelMass }),
  };
}

/** Index from which on all entries are the last one. */
function settledFrom(leaders: readonly number[]): number {
  return leaders.findLastIndex((leader) => leader !== leaders.at(-1)) + 1;
}

function agreementOf(history: readonly (readonly number[])[]): number {
  const before = history.slice(-1 - LOOKED_BACK, -1);
  if (before.length === 0) return 1;
  return before.reduce((sum, p) => sum + overlap(p, history.at(-1)!), 0) / before.length;
}
