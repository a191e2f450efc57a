/**
 * The states that match compares, after one iteration (more do not change what words mean): of each question behind its
 * input, and of each option alone. Prepared before any work, so that a budget knows what it will cost.
 */
import { NO_READ, type DecisionPolicy, type PassShape } from "../decision-policy.ts";
import type { MatchWeights } from "../model/match.ts";
import type { Backend, Row, Sequence } from "../port/backend.ts";
import { mapped, matchScore } from "./match.ts";
import type { OptionVectors } from "./option-vectors.ts";
import { enterPass } from "./pass.ts";
import { cutPasses, LoadCount, passCache, passShape, type Pass } from "./passes.ts";
import type { Reader } from "./readers.ts";
import { inCalls, PassSequences } from "./sequences.ts";
import type { InputTree, QuestionTree } from "./tree.ts";

/** An option to compute: its rows stand alone. */
interface LoneOption {
  readonly text: string;
  readonly tokens: readonly number[];
}

export interface MatchPlan {
  readonly weights: MatchWeights;
  readonly vectors: OptionVectors;
  /** Options known already. */
  readonly known: ReadonlyMap<string, Float32Array>;
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

/** Whether a question's options are matched; a predicate has nothing to choose from. */
function isMatched({ question }: QuestionTree): boolean {
  return question.kind !== "predicate";
}

export function planMatch(
  trees: readonly InputTree[],
  weights: MatchWeights,
  vectors: OptionVectors,
  backend: Backend,
  limitBytes: number,
): MatchPlan {
  const asked = trees
    .map(({ tokens, questions }) => ({ tokens, questions: questions.filter(isMatched).map((question) => ({ ...question, leaves: [[]] })) }))
    .filter(({ questions }) => questions.length > 0);
  const questionPasses = cutPasses(asked, STATES, backend, limitBytes);
  const known = new Map<string, Float32Array>();
  const lone = new Map<string, LoneOption>();
  for (const { texts, leaves } of trees.flatMap(({ questions }) => questions.filter(isMatched)))
    texts.forEach((text, i) => {
      const vector = known.get(text) ?? vectors.get(text);
      if (vector === undefined) lone.set(text, { text, tokens: leaves[i]! });
      else known.set(text, vector);
    });
  const batches = batch([...lone.values()], backend, limitBytes);
  const shapes = [
    ...questionPasses.map(({ tokens, questions }) =>
      passShape(
        tokens.length,
        questions.map(({ question }) => ({ rows: question.tokens.length, leaves: [] })),
        STATES,
      ),
    ),
    ...batches.map((options) => {
      const load = new LoadCount();
      for (const { tokens } of options) load.add(tokens.length, 0, 0);
      return { rows: load.rows };
    }),
  ].map(({ rows }): PassShape => ({ rows, eachRead: NO_READ, lastRead: NO_READ, most: 1 }));
  return { weights, vectors, known, questionPasses, batches, shapes };
}

function batch(options: readonly LoneOption[], backend: Backend, limitBytes: number): LoneOption[][] {
  const cache = passCache(backend.config);
  const batches: LoneOption[][] = [];
  let left = 0;
  for (const option of options) {
    const bytes = backend.sequenceBytes({ capacity: option.tokens.length, maxIterations: 1, cache });
    if (bytes > left) {
      batches.push([]);
      left = limitBytes;
    }
    batches.at(-1)!.push(option);
    left -= bytes;
  }
  return batches;
}

/** @returns by question's index, the match of each of its texts */
export async function runMatch(plan: MatchPlan, backend: Backend, policy: DecisionPolicy): Promise<Map<number, number[]>> {
  const { weights, vectors, questionPasses, batches, shapes } = plan;
  const questions: { readonly question: QuestionTree; readonly vector: Float32Array }[] = [];
  const options = new Map(plan.known);
  for (const [i, pass] of questionPasses.entries()) {
    policy.begin(shapes[i]!, i);
    questions.push(...(await questionVectors(pass, weights, backend)));
    policy.ran(shapes[i]!.rows, false);
  }
  for (const [i, lone] of batches.entries()) {
    const shape = shapes[questionPasses.length + i]!;
    policy.begin(shape, questionPasses.length + i);
    for (const [text, vector] of await optionVectors(lone, weights, backend)) {
      options.set(text, vector);
      vectors.set(text, vector);
    }
    policy.ran(shape.rows, false);
  }
  return new Map(
    questions.map(({ question, vector }) => [
      question.index,
      question.texts.map((text) => matchScore(vector, options.get(text)!, weights)),
    ]),
  );
}

async function questionVectors(pass: Pass, weights: MatchWeights, backend: Backend) {
  const sequences = new PassSequences(backend, 1);
  try {
    const { input, leaves } = await enterPass(pass, sequences.openInput(pass.tokens.length, pass.bytes), sequences, backend, STATES);
    await inCalls(backend, [...input, ...leaves.flatMap(({ of }) => of.rows)], (rows) => backend.iterate(rows));
    const found = [];
    for (const { question, of } of leaves)
      found.push({ question, vector: mapped(weights.question, await backend.latent(of.before, "raw")) });
    return found;
  } finally {
    sequences.close();
  }
}

async function optionVectors(options: readonly LoneOption[], weights: MatchWeights, backend: Backend): Promise<[string, Float32Array][]> {
  const open: Sequence[] = [];
  try {
    for (const { tokens } of options)
      open.push(backend.openSequence({ capacity: tokens.length, maxIterations: 1, cache: passCache(backend.config) }));
    const inputs = options.flatMap(({ tokens }, i) => tokens.map((token) => ({ sequence: open[i]!, token })));
    const rows: Row[] = [];
    for (let at = 0; at < inputs.length; at += backend.maxRows)
      rows.push(...(await backend.prelude(inputs.slice(at, at + backend.maxRows))));
    await inCalls(backend, rows, (part) => backend.iterate(part));
    const vectors: [string, Float32Array][] = [];
    let end = 0;
    for (const { text, tokens } of options)
      vectors.push([text, mapped(weights.option, await backend.latent(rows[(end += tokens.length) - 1]!, "raw"))]);
    return vectors;
  } finally {
    for (const sequence of open) backend.closeSequence(sequence);
  }
}
