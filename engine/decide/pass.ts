/**
 * One pass: rows of an input, its questions and their leaves go through the core together, and each leaf ends by itself,
 * once all that it sees stands still. What a leaf scores depends on nothing but the input, its question and itself.
 */
import type { DecisionPolicy } from "../decision-policy.ts";
import { isChecked } from "../decode/exit.ts";
import type { ExitRule } from "../exit-rule.ts";
import type { Backend } from "../port/backend.ts";
import { TimelineRecorder } from "../port/prefix.ts";
import { enterPass, type OpenPass, type ScorePoint } from "./enter.ts";
import { shapeOfPass, type Pass } from "./passes.ts";
import { activeRows, loadOf, readLeaves, shapeOfLeaves, stretchesOf } from "./read.ts";
import type { Reader } from "./readers.ts";
import { inCalls, type PassSequences } from "./sequences.ts";
import { checkDecisionExit } from "./stillness.ts";
import { look } from "./stretch.ts";
import type { QuestionTree } from "./tree.ts";

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

/** @param index of the pass in the decision */
export async function runPass(pass: Pass, index: number, sequences: PassSequences, terms: PassTerms): Promise<PassResult> {
  const { backend, policy, reader } = terms;
  const plan = policy.begin(shapeOfPass(pass, reader), index);
  checkDecisionExit(plan.exit);
  sequences.attention = plan.exit.criterion === "rest-wake";
  const open = await enterPass(pass, sequences, backend, reader);
  const recorder = open.sequence.options.history && new TimelineRecorder(pass.tokens.length, open.replay);
  let { exit } = plan;
  let rowIterations = 0;
  for (let iteration = 1; ; iteration++) {
    const isLast = iteration >= plan.iterations;
    rowIterations += await think(open, exit, iteration, isLast, terms, recorder);
    const left = open.leaves.filter(({ stretch }) => !stretch.hasEnded);
    terms.check();
    const next = left.length === 0 || isLast ? undefined : policy.proceed(iteration, shapeOfLeaves(left, reader), exit);
    if (next !== undefined) {
      exit = next;
      continue;
    }
    await readLeaves(
      left.filter(({ points }) => points.at(-1)?.iteration !== iteration),
      iteration,
      terms,
    );
    policy.end(open.leaves.length - left.length, left.length);
    if (exit === plan.exit) keepInput(open, recorder, pass, sequences);
    const leaves = open.leaves.map(({ stretch, ...leaf }) => ({ ...leaf, exited: stretch.hasEnded }));
    return { leaves, iterations: iteration, limit: plan.iterations, rowIterations };
  }
}

/** Leaves the input to later ones that begin alike, where somebody has noted what it went through. */
export function keepInput({ input }: OpenPass, recorder: TimelineRecorder | undefined, { prefix }: Pass, sequences: PassSequences): void {
  recorder?.end(input.active);
  if (recorder?.timeline !== undefined) sequences.keepInput(prefix!, input.rows, recorder.timeline);
}

/** An iteration of the leaves that have not ended, and of what they see. @returns rows that ran it */
async function think(
  { input, leaves, replay }: OpenPass,
  exit: ExitRule,
  time: number,
  isLast: boolean,
  terms: PassTerms,
  recorder: TimelineRecorder | undefined,
): Promise<number> {
  const { backend, policy, reader } = terms;
  const active = leaves.filter(({ stretch }) => !stretch.hasEnded);
  const rows = activeRows(active);
  const ran = input.active;
  replay?.show(time);
  await inCalls(backend, rows, (part) => backend.iterate(part));
  const isLooked = isChecked(exit, time - 1, false);
  policy.ran(loadOf(rows), isLooked);
  if (isLooked) await look(rows, stretchesOf(active), exit, time, backend);
  recorder?.note(ran, isLooked ? input.movedAt(time) : undefined);
  await readLeaves(reader.readsAlways || isLast ? active : active.filter(({ stretch }) => stretch.hasEnded), time, terms);
  return rows.length;
}
