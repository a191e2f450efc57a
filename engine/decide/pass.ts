/**
 * One pass: rows of an input, its questions and their leaves go through the core together, and each leaf ends by itself,
 * once all that it sees stands still. What a leaf scores depends on nothing but the input, its question and itself.
 */
import type { DecisionPolicy, PassShape } from "../decision-policy.ts";
import { isChecked, shouldExit } from "../decode/exit.ts";
import type { ExitRule } from "../exit-rule.ts";
import { requireNumber } from "../finite.ts";
import type { Backend, Row, Sequence } from "../port/backend.ts";
import { passShape, shapeOfPass, type Pass, type PassQuestion } from "./passes.ts";
import type { LeafScores, Reader } from "./readers.ts";
import { inCalls, type PassSequences } from "./sequences.ts";
import { checkDecisionExit, stillness } from "./stillness.ts";
import type { QuestionTree } from "./tree.ts";

/** A leaf's scores after an iteration. */
export interface ScorePoint extends LeafScores {
  readonly iteration: number;
}

export interface LeafResult {
  readonly question: QuestionTree;
  /** Index among the question's leaves. */
  readonly leaf: number;
  /** Ascending; the last is where its thinking ended. */
  readonly points: readonly ScorePoint[];
  /** The exit rule ended it; else something else did. */
  readonly exited: boolean;
}

export interface PassTerms {
  readonly backend: Backend;
  readonly reader: Reader;
  readonly policy: DecisionPolicy;
  /** Called after every iteration; throws to end the decision. */
  readonly check: () => void;
}

export interface PassResult {
  readonly leaves: readonly LeafResult[];
  readonly iterations: number;
  /** Iterations that it was allowed. */
  readonly limit: number;
  readonly rowIterations: number;
}

/** @param sequences with the input's opened @param index of the pass in the decision */
export async function runPass(pass: Pass, index: number, input: Sequence, sequences: PassSequences, terms: PassTerms): Promise<PassResult> {
  const { backend, policy, reader } = terms;
  const plan = policy.begin(shapeOfPass(pass, reader), index);
  checkDecisionExit(plan.exit);
  const open = await enterPass(pass, input, sequences, backend, reader);
  let { exit } = plan;
  let rowIterations = 0;
  for (let iteration = 1; ; iteration++) {
    rowIterations += await think(open, exit, iteration, iteration >= plan.iterations, terms);
    const left = open.leaves.filter((leaf) => !leaf.exited);
    terms.check();
    const next =
      left.length === 0 || iteration >= plan.iterations
        ? undefined
        : policy.proceed(iteration, shapeOfLeaves(open.input, left, reader), exit);
    if (next !== undefined) {
      exit = next;
      continue;
    }
    await readLeaves(
      left.filter(({ points }) => points.at(-1)?.iteration !== iteration),
      open.input,
      iteration,
      terms,
    );
    policy.end(open.leaves.length - left.length, left.length);
    return { leaves: open.leaves, iterations: iteration, limit: plan.iterations, rowIterations };
  }
}

/** An iteration of the leaves that have not ended, and of what they see. @returns rows that ran it */
async function think({ input, leaves }: OpenPass, exit: ExitRule, iteration: number, isLast: boolean, terms: PassTerms): Promise<number> {
  const { backend, policy, reader } = terms;
  const active = leaves.filter((leaf) => !leaf.exited);
  const rows = rowsOf(input, active);
  await inCalls(backend, rows, (part) => backend.iterate(part));
  const isLooked = isChecked(exit, iteration - 1, false);
  policy.ran(shapeOfLeaves(input, active, reader).rows, isLooked);
  const ended = isLooked ? await findEnded(rows, input, active, exit, terms) : [];
  for (const leaf of ended) leaf.exited = true;
  await readLeaves(reader.readsAlways || isLast ? active : ended, input, iteration, terms);
  return rows.length;
}

interface OpenQuestion {
  readonly question: QuestionTree;
  readonly rows: readonly Row[];
  /** The last row before the leaves' own. */
  readonly before: Row;
}

interface OpenLeaf {
  readonly of: OpenQuestion;
  readonly question: QuestionTree;
  readonly leaf: number;
  readonly rows: readonly Row[];
  readonly points: ScorePoint[];
  exited: boolean;
}

export interface OpenPass {
  readonly input: readonly Row[];
  readonly leaves: readonly OpenLeaf[];
}

/** Rows of the whole pass, after the prelude. */
export async function enterPass(
  pass: Pass,
  sequence: Sequence,
  sequences: PassSequences,
  backend: Backend,
  reader: Reader,
): Promise<OpenPass> {
  const { questions } = pass;
  const [input] = await preludes(backend, [{ sequence, tokens: pass.tokens }]);
  const start = sequence.length;
  const bytesOf = ({ question, leaves }: PassQuestion): number =>
    leaves.reduce((sum, i) => sum + bytes(reader.rowCount(question.leaves[i]!.length), start + question.tokens.length), 0);
  const bytes = (capacity: number, before: number): number =>
    capacity === 0 ? 0 : backend.sequenceBytes({ ...sequence.options, capacity, rows: capacity }, before);
  const branches = sequences.branches(
    questions.map(({ question }) => ({ parent: sequence, capacity: question.tokens.length })),
    questions.reduce((sum, question) => sum + bytesOf(question), 0),
  );
  const asked = await preludes(
    backend,
    questions.map(({ question }, q) => ({ sequence: branches[q]!, tokens: question.tokens })),
  );
  const open = questions.map(({ question }, q): OpenQuestion => ({
    question,
    rows: asked[q]!,
    before: asked[q]!.at(-1) ?? input!.at(-1)!,
  }));
  const leaves = questions.flatMap(({ question, leaves }, q) =>
    leaves.map((leaf) => ({
      of: open[q]!,
      question,
      leaf,
      parent: branches[q]!,
      tokens: question.leaves[leaf]!.slice(0, reader.rowCount(question.leaves[leaf]!.length)),
    })),
  );
  const own = sequences.branches(
    leaves.map(({ parent, tokens }) => ({ parent, capacity: tokens.length })),
    0,
  );
  const rows = await preludes(
    backend,
    leaves.map(({ tokens }, i) => ({ sequence: own[i]!, tokens })),
  );
  return {
    input: input!,
    leaves: leaves.map(({ of, question, leaf }, i) => ({ of, question, leaf, rows: rows[i]!, points: [], exited: false })),
  };
}

interface Entering {
  readonly sequence: Sequence;
  readonly tokens: readonly number[];
}

/** Lets tokens of several sequences in together. */
async function preludes(backend: Backend, entering: readonly Entering[]): Promise<Row[][]> {
  const inputs = entering.flatMap(({ sequence, tokens }) => tokens.map((token) => ({ sequence, token })));
  const rows: Row[] = [];
  for (let at = 0; at < inputs.length; at += backend.maxRows) {
    rows.push(...(await backend.prelude(inputs.slice(at, at + backend.maxRows))));
  }
  let from = 0;
  return entering.map(({ tokens }) => rows.slice(from, (from += tokens.length)));
}

/** Rows that leaves need, in causal order. */
function rowsOf(input: readonly Row[], leaves: readonly OpenLeaf[]): Row[] {
  return [...input, ...questionsOf(leaves).flatMap(({ rows }) => rows), ...leaves.flatMap(({ rows }) => rows)];
}

function questionsOf(leaves: readonly OpenLeaf[]): OpenQuestion[] {
  return [...new Set(leaves.map(({ of }) => of))];
}

async function findEnded(
  rows: readonly Row[],
  input: readonly Row[],
  active: readonly OpenLeaf[],
  exit: ExitRule,
  { backend }: PassTerms,
): Promise<OpenLeaf[]> {
  const moved = new Map<Row, number>();
  await inCalls(backend, rows, async (part) => {
    (await backend.measure(part)).forEach((change, i) => moved.set(part[i]!, stillness(exit, change)));
  });
  const largest = (of: readonly Row[]): number => of.reduce((most, row) => Math.max(most, requireNumber(moved.get(row)!)), 0);
  const inputMoved = largest(input);
  const questionMoved = new Map(questionsOf(active).map((question) => [question, Math.max(inputMoved, largest(question.rows))]));
  return active.filter((leaf) => shouldExit(exit, Math.max(questionMoved.get(leaf.of)!, largest(leaf.rows))));
}

/** Logits that are held at once while leaves are read, in f32. */
const LOGITS_AT_ONCE = 1 << 20;

/** Coda and head over what leaves see. */
async function readLeaves(leaves: readonly OpenLeaf[], input: readonly Row[], iteration: number, terms: PassTerms): Promise<void> {
  const { backend, reader, policy } = terms;
  if (leaves.length === 0) return;
  const { eachRead, lastRead } = shapeOfLeaves(input, leaves, reader);
  policy.read(reader.readsAlways ? eachRead : lastRead);
  const shared = rowsOf(input, leaves).slice(0, -leaves.reduce((sum, { rows }) => sum + rows.length, 0) || undefined);
  let before: readonly Row[] = shared;
  for (const part of inParts(leaves, ({ question, leaf }) => reader.headCount(question.leaves[leaf]!.length) * reader.logits)) {
    const heads = part.map(({ of, rows }) => reader.heads(of.before, rows));
    const logits = await readHeads(backend, [...before, ...part.flatMap(({ rows }) => rows)], heads.flat(), reader.tokens);
    part.forEach(({ question, leaf, points }, i) =>
      points.push({
        iteration,
        ...reader.scores(
          question,
          leaf,
          heads[i]!.map((head) => logits.get(head)!),
        ),
      }),
    );
    before = []; // their keys and values are there
  }
}

/** Rows through the coda, and the logits of heads, which may be named several times and may have passed it before. */
async function readHeads(
  backend: Backend,
  rows: readonly Row[],
  heads: readonly Row[],
  tokens: readonly number[] | undefined,
): Promise<Map<Row, Float32Array>> {
  const wanted = new Set(heads);
  const all = new Set([...rows, ...heads]);
  const logits = new Map<Row, Float32Array>();
  await inCalls(backend, [...all], async (part) => {
    const own = part.filter((row) => wanted.has(row));
    const read = await backend.readout(part, own, tokens);
    own.forEach((head, i) => logits.set(head, read[i]!));
  });
  return logits;
}

/** Leaves whose logits fit into memory together. */
function inParts(leaves: readonly OpenLeaf[], logitsOf: (leaf: OpenLeaf) => number): OpenLeaf[][] {
  const parts: OpenLeaf[][] = [[]];
  let held = 0;
  for (const leaf of leaves) {
    const logits = logitsOf(leaf);
    if (held > 0 && held + logits > LOGITS_AT_ONCE) {
      parts.push([]);
      held = 0;
    }
    parts.at(-1)!.push(leaf);
    held += logits;
  }
  return parts;
}

/** The shape of a pass that goes on with some leaves alone. */
function shapeOfLeaves(input: readonly Row[], leaves: readonly OpenLeaf[], reader: Reader): PassShape {
  const tokens = new Map<OpenQuestion, number[]>();
  for (const { of, question, leaf } of leaves) {
    const own = tokens.get(of) ?? [];
    own.push(question.leaves[leaf]!.length);
    tokens.set(of, own);
  }
  return passShape(
    input.length,
    Array.from(tokens, ([{ rows }, own]) => ({ rows: rows.length, leaves: own })),
    reader,
  );
}
