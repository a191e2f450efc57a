/**
 * The states that match compares, after one iteration (more do not change what words mean): of questions behind their
 * input, and of each option alone. Prepared before any work, so that a budget knows what it will cost.
 */
import type { DecisionPolicy, PassShape } from "../decision-policy.ts";
import type { LabelSet } from "../model/labels.ts";
import type { MatchWeights } from "../model/match.ts";
import type { Backend } from "../port/backend.ts";
import { TimelineRecorder } from "../port/prefix.ts";
import { batchLone, loneShape, runLone, type LoneText } from "./lone-states.ts";
import { mapped, matchScore } from "./match.ts";
import { knowsAll, labelScorer, labelsFor } from "./own-labels.ts";
import type { OptionVectors } from "./option-vectors.ts";
import { enterPass } from "./enter.ts";
import { keepInput } from "./pass.ts";
import { cutPasses, shapeOfPass, type Pass } from "./passes.ts";
import type { Reader } from "./readers.ts";
import { inCalls, PassSequences } from "./sequences.ts";
import type { InputTree, QuestionTree } from "./tree.ts";

/** An option to compute: its rows stand alone. */
interface LoneOption extends LoneText {
  readonly text: string;
}

/** Rows whose last state is the vector of all questions that read the same. */
interface AskedRows {
  readonly rows: QuestionTree;
  readonly questions: readonly QuestionTree[];
}

export interface MatchTerms {
  readonly weights: MatchWeights;
  readonly vectors: OptionVectors;
  readonly sets: readonly LabelSet[];
  /** The text of the input, for labels that its words count for. */
  readonly input: string;
}

export interface MatchPlan {
  readonly weights: MatchWeights;
  readonly vectors: OptionVectors;
  /** Vectors, by a question's index, that stand for some of its options, or for all. */
  readonly labels: ReadonlyMap<number, LabelSet>;
  readonly input: string;
  /** Options known already. */
  readonly known: ReadonlyMap<string, Float32Array>;
  /** Rows to read, at the index that `questionPasses` know them by. */
  readonly asked: readonly AskedRows[];
  readonly questionPasses: readonly Pass[];
  /** Options to compute, by what fits into memory together. */
  readonly batches: readonly (readonly LoneOption[])[];
  /** Shapes of question passes and batches, in this order. */
  readonly shapes: readonly PassShape[];
}

/** Questions end with themselves, and no logit is read. */
const STATES: Reader = {
  readsAlways: false,
  tokens: [],
  logits: 0,
  rowCount: () => 0,
  headCount: () => 0,
  heads: () => [],
  scores: () => ({ scores: [], fits: [] }),
};

/** Whether labels alone decide a question. */
export function isLabelled({ labels }: MatchPlan, question: QuestionTree): boolean {
  const set = labels.get(question.index);
  return set !== undefined && knowsAll(set, question);
}

/** The plan with other question passes in the places of its own. */
export function withQuestionPasses(plan: MatchPlan, questionPasses: readonly Pass[]): MatchPlan {
  const shapes = [...questionPasses.map(shapeOfQuestions), ...plan.shapes.slice(questionPasses.length)];
  return { ...plan, questionPasses, shapes };
}

function shapeOfQuestions(pass: Pass): PassShape {
  return { ...shapeOfPass(pass, STATES), most: 1 };
}

export function planMatch(
  trees: readonly InputTree[],
  { weights, vectors, sets, input }: MatchTerms,
  backend: Backend,
  limitBytes: number,
): MatchPlan {
  const labels = new Map<number, LabelSet>();
  for (const question of trees.flatMap(({ questions }) => questions)) {
    const set = labelsFor(question, sets);
    if (set !== undefined) labels.set(question.index, set);
  }
  // a predicate has nothing to choose from, and no text of its own
  const isMatched = ({ question, index }: QuestionTree): boolean => question.kind !== "predicate" || labels.has(index);
  const asked: AskedRows[] = [];
  const askedTrees = trees.map(({ tokens, questions }) => {
    const own = groupAsked(questions.filter(isMatched), weights.reads, asked.length);
    asked.push(...own);
    return { tokens, questions: own.map(({ rows }) => rows) };
  });
  const questionPasses = cutPasses(
    askedTrees.filter(({ questions }) => questions.length > 0),
    STATES,
    backend,
    limitBytes,
  );
  const known = new Map<string, Float32Array>();
  const lone = new Map<string, LoneOption>();
  for (const { index, texts, leaves } of trees.flatMap(({ questions }) => questions.filter(isMatched)))
    texts.forEach((text, i) => {
      if (labels.get(index)?.labels.has(text) === true) return;
      const vector = known.get(text) ?? vectors.get(text);
      if (vector === undefined) lone.set(text, { text, tokens: leaves[i]! });
      else known.set(text, vector);
    });
  const batches = batchLone([...lone.values()], backend, limitBytes);
  const shapes = [...questionPasses.map(shapeOfQuestions), ...batches.map((batch) => loneShape(batch))];
  return { weights, vectors, labels, input, known, asked, questionPasses, batches, shapes };
}

/** Questions of an input by the rows that they read: those that ask the same share them, or all where the marker is read. */
function groupAsked(questions: readonly QuestionTree[], reads: MatchWeights["reads"], firstIndex: number): AskedRows[] {
  const groups = new Map<string, QuestionTree[]>();
  const tokensOf = ({ tokens }: QuestionTree): readonly number[] => (reads === "input" ? tokens.slice(0, 1) : tokens);
  for (const question of questions) {
    const key = tokensOf(question).join(" ");
    groups.set(key, [...(groups.get(key) ?? []), question]);
  }
  return Array.from(groups.values(), (alike, i) => {
    const [first] = alike as [QuestionTree];
    return { rows: { ...first, tokens: tokensOf(first), leaves: [[]], index: firstIndex + i }, questions: alike };
  });
}

/** @returns by question's index, the match of each of its texts */
export async function runMatch(plan: MatchPlan, backend: Backend, policy: DecisionPolicy): Promise<Map<number, number[]>> {
  const { weights, vectors, labels, input, asked, questionPasses, batches } = plan;
  const found: { readonly question: QuestionTree; readonly vector: Float32Array }[] = [];
  const options = new Map(plan.known);
  for (const [i, pass] of questionPasses.entries())
    for (const { index, vector } of await questionVectors(pass, i, plan, backend, policy))
      found.push(...asked[index]!.questions.map((question) => ({ question, vector })));
  for (const [i, batch] of batches.entries())
    await runLone(batch, questionPasses.length + i, backend, policy, ({ text }, state) => {
      const vector = mapped(weights.option, state);
      options.set(text, vector);
      vectors.set(text, vector);
    });
  const scoresOf = (question: QuestionTree, vector: Float32Array): number[] => {
    const ownScore = labelScorer(labels.get(question.index), vector, input);
    const bias = isLabelled(plan, question) ? 0 : weights.bias;
    return question.texts.map((text) => {
      const own = ownScore(text);
      return own === undefined ? matchScore(vector, options.get(text)!, weights) : own + bias;
    });
  };
  return new Map(found.map(({ question, vector }) => [question.index, scoresOf(question, vector)]));
}

interface AskedVector {
  /** Place of the rows in the plan's `asked`. */
  readonly index: number;
  readonly vector: Float32Array;
}

async function questionVectors(
  pass: Pass,
  index: number,
  { weights, shapes }: MatchPlan,
  backend: Backend,
  policy: DecisionPolicy,
): Promise<AskedVector[]> {
  const shape = shapes[index]!;
  policy.begin(shape, index);
  const sequences = new PassSequences(backend, 1);
  try {
    const open = await enterPass(pass, sequences, backend, STATES);
    const { input, leaves, replay, sequence } = open;
    replay?.show(1);
    await inCalls(backend, [...input.rows, ...leaves.flatMap(({ stretch }) => stretch.before!.rows)], (rows) => backend.iterate(rows));
    policy.ran(shape.rows, false);
    const vectors: AskedVector[] = [];
    for (const { question, stretch } of leaves)
      vectors.push({ index: question.index, vector: mapped(weights.question, await backend.latent(stretch.before!.last, "raw")) });
    const recorder = sequence.options.history && new TimelineRecorder(pass.tokens.length, replay);
    recorder?.note(input.rows, undefined);
    keepInput(open, recorder, pass, sequences);
    return vectors;
  } finally {
    sequences.close();
  }
}
